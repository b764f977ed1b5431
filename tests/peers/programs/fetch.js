// Fetches each URL; ends with 1 if one was refused.
(async () => {
  for (const url of process.argv.slice(2)) {
    try {
      const answer = await fetch(url);
      console.log(answer.status, (await answer.text()).trim());
      if (!answer.ok) process.exitCode = 1;
    } catch (error) {
      console.log(error.message, error.cause?.code, error.cause?.message);
      process.exitCode = 1;
    }
  }
})();
