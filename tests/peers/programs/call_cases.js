// Calls functions of the second verifier, the file argv[2], in one process. The file argv[3] holds a list of calls, each
// [name, ...arguments]; prints the list of what they return, `undefined` as null and an error as "refused".
const { readFileSync } = require('node:fs');
const { parts } = require(require('node:path').resolve(process.argv[2]));

// Policies are read once for each text, as for a record.
const known = new Map();
function policies(text) {
  if (!known.has(text)) known.set(text, parts.readPolicies(new TextEncoder().encode(text)));
  return known.get(text);
}

// Numbers of any size go and come as texts.
const exact = (side) => Object.fromEntries(Object.entries(side).map(([name, digits]) => [name, BigInt(digits)]));
const written = (found) => JSON.parse(JSON.stringify(found, (_, value) => (typeof value === 'bigint' ? String(value) : value)));

const calls = {
  read: (text) => policies(text).length,
  decide: (text, facts) => parts.decide(policies(text), facts),
  preliminary: (text, facts) => parts.preliminary(parts.relaxed(policies(text)), facts),
  opens: (text, facts) => parts.opens(policies(text), facts),
  openedBy: (text, facts) => parts.openedBy(policies(text), parts.relaxed(policies(text)), facts),
  answeredTo: (text, facts, listed) => {
    const decisions = new parts.Decisions(policies(text));
    const { rules, ...made } = decisions.answeredTo(facts, false, new Map([['connection', 1]]), 'receipt 7');
    decisions.heard(new Map([['answers', listed.map((entry) => new Map(Object.entries(entry)))]]));
    return made;
  },
  admitted: (text, facts, given) => parts.admitted(policies(text), parts.decide(policies(text), facts), given).slice(0, 2),
  answered: (text, facts, given) => parts.answered(policies(text), parts.decide(policies(text), facts), given),
  isHost: parts.isHost,
  isAddress: parts.isAddress,
  internal: (text) => parts.internal(parts.address(text)),
  normalPath: parts.normalPath,
  globMatches: parts.globMatches,
  solved: (...sides) => written(parts.solved(...sides.map(exact))),
};

function answer([name, ...given]) {
  try {
    const found = calls[name](...given);
    // Which rules decide, by their labels.
    return found?.rules ? { ...found, rules: found.rules.map((rule) => rule.label) } : found;
  } catch (error) {
    if (error.constructor.name !== 'Refusal') throw error;
    return 'refused';
  }
}

const asked = JSON.parse(readFileSync(process.argv[3], 'utf8'));
console.log(JSON.stringify(asked.map((call) => answer(call) ?? null)));
