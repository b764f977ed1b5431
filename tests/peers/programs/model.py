"""One question to a model, by the SDK argv[1], with the key of its variable alone; prints the answer."""

import sys

ASKED = [{"role": "user", "content": "who put the key in?"}]
if sys.argv[1] == "anthropic":
    from anthropic import Anthropic

    client = Anthropic(base_url="https://forge.test", max_retries=0)
    print(client.messages.create(model="m", max_tokens=9, messages=ASKED).content[0].text)
else:
    from openai import OpenAI

    client = OpenAI(base_url="https://forge.test/v1", max_retries=0)
    print(client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content)
