// Verifies a packet of sluicegate: a second reader of the formats, which shares no code with the first.
//
//     node verifier/sluicegate-verify.js PACKET_DIR [--key HEX64_OR_PUBFILE]... [--json]
//
// Exit codes: 0 verified; 1 invalid; 2 usage; 3 an intact prefix whose end is not proven; 4 sound, but signed by no key
// that was given. The same file serves in a page, as a classic script: `await sluicegate.verifyPacket(files, keys)`.
//
// It takes only what the producer writes, byte for byte, so there is no white space to skip and no second spelling to
// understand. Of summary.md it checks that the signer sealed it, not its words: they are for people.
'use strict';

const sluicegate = (() => {
  const VERIFIED = 0, INVALID = 1, USAGE = 2, UNPROVEN = 3, UNTRUSTED = 4;
  const MAX_LINE_BYTES = 65535; // of evidence and of facts; the producer keeps to it
  const MAX_DEPTH = 128; // as the readers of the published format have it
  const MAX_BUNDLE_BYTES = 4194304; // readers hold a bundle whole
  const MAX_NOTE_BYTES = 131072; // sixteen post-quantum cosignatures, and some air
  const MAX_SIGNATURES = 16; // of one note
  const MAX_DOMAINS = 4096; // beyond that packet.json leaves its list out
  const MAX_HOSTS = 100; // rows of the seal's network log
  const LINES_AT_ONCE = 256; // hashed side by side; bounds the memory of what was parsed and not yet placed

  const RECORD = ['evidence.jsonl', 'flows.jsonl', 'policy.json', 'boundary.json'];
  const SEAL = 'seal.sigstore.json', PROBES = 'probes.sigstore.json';
  const FINISHED = ['packet.json', 'summary.md', 'VERIFY.md', 'checkpoint', PROBES, SEAL]; // of a closed record only
  // VERIFY.md holds commands that a reader runs, and nothing of the record but the run and its signer: the SHA-256 of
  // the rest of it.
  const COMMANDS = '981fe7c016b9226c8eb451fb84adb098cf9f6d1ffb92e260ad8bf513ce6669f3';
  const SESSION = 'proxy', LIFECYCLE = 'receipt_session', BOUNDARY = 'boundary';

  class Refusal extends Error {} // the bytes do not support their claims

  const need = (ok, message) => { if (!ok) throw new Refusal(message); };
  const bytesOf = (text) => new TextEncoder().encode(text);
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const ascii = (text) => text.replace(/[^ -~]/g, escaped);
  const shown = (text) => ascii(JSON.stringify(String(text).slice(0, 60)));

  // ---- bytes ----------------------------------------------------------------------------------------------------

  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

  function unhex(digits, size, what) {
    need(typeof digits === 'string' && digits.length === 2 * size && /^[0-9a-f]*$/.test(digits),
      `${what}: not ${size} bytes of lower-case hex`);
    return Uint8Array.from({ length: size }, (_, at) => parseInt(digits.slice(2 * at, 2 * at + 2), 16));
  }

  function base64(bytes) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
  }

  function unbase64(text, what) {
    let raw;
    try {
      raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    } catch {
      throw new Refusal(`${what}: not base64`);
    }
    need(base64(raw) === text, `${what}: base64 in another spelling`);
    return raw;
  }

  function joined(...parts) {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

  function decoded(bytes, what) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Refusal(`${what}: not UTF-8`);
    }
  }

  // Lines end at LF only. What follows the last LF is no line.
  function* linesOf(bytes) {
    for (let at = 0, end; (end = bytes.indexOf(10, at)) >= 0; at = end + 1) yield bytes.subarray(at, end);
  }

  const torn = (bytes) => bytes.length > 0 && bytes[bytes.length - 1] !== 10;

  // ---- digests and signatures -----------------------------------------------------------------------------------

  let subtle = globalThis.crypto?.subtle;
  let verifyWithout = null; // where WebCrypto has no Ed25519; a host may bring its own
  let ready = null;

  // What a host has in place of WebCrypto's own: `otherSubtle` if there is none, `verify(key, signature, message)`.
  function provide(otherSubtle, verify) {
    subtle ??= otherSubtle;
    verifyWithout = verify;
  }

  const sha256 = async (bytes) => new Uint8Array(await subtle.digest('SHA-256', bytes));
  const sha256hex = async (bytes) => hex(await sha256(bytes));

  let imported = {}; // the last key: a record has one

  async function verifyBySubtle(key, signature, message) {
    const name = hex(key);
    if (imported.name !== name) {
      imported = { name, key: await subtle.importKey('raw', key, { name: 'Ed25519' }, false, ['verify']) };
    }
    return subtle.verify({ name: 'Ed25519' }, imported.key, signature, message);
  }

  // RFC 8032 section 7.1, test 2: one byte, 0x72. A machine that says no to it, or yes to another byte, is not asked.
  async function works(verify) {
    const key = unhex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', 32, 'key');
    const signature = unhex('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da'
      + '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00', 64, 'signature');
    try {
      return await verify(key, signature, Uint8Array.of(0x72)) === true
        && await verify(key, signature, Uint8Array.of(0x73)) === false;
    } catch {
      return false;
    }
  }

  async function verifier() {
    if (!subtle) throw new Error('this platform has no WebCrypto: a page must come by https');
    for (const verify of [verifyBySubtle, verifyWithout]) if (verify && await works(verify)) return verify;
    throw new Error('this platform has no Ed25519');
  }

  async function signed(key, signature, message) {
    ready ??= verifier();
    const verify = await ready;
    try {
      return await verify(key, signature, message) === true;
    } catch {
      return false; // the 32 bytes are no point of the curve
    }
  }

  // ---- JSON: no white space, no member twice, no number but an exact integer ---------------------------------------

  // An object's members in the order of the text, and where the object stands in it.
  class Members extends Map {
    start = 0;
    end = 0;
  }

  const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

  // `text` says which code units its strings may hold: /…/ that matches one that may not.
  class Parser {
    constructor(text, what, unwanted) {
      Object.assign(this, { text, what, unwanted, at: 0, depth: 0 });
    }

    refuse(why) {
      throw new Refusal(`${this.what}: ${why} at character ${this.at}`);
    }

    whole() {
      if (this.text[0] !== '{') this.refuse('not an object');
      const found = this.value();
      if (this.at !== this.text.length) this.refuse('something after the object');
      return found;
    }

    take(mark) {
      if (!this.text.startsWith(mark, this.at)) return false;
      this.at += mark.length;
      return true;
    }

    value() {
      const first = this.text[this.at];
      if (first === '{') return this.nested(this.object);
      if (first === '[') return this.nested(this.array);
      if (first === '"') return this.string();
      if (this.take('true')) return true;
      if (this.take('false')) return false;
      if (this.take('null')) return null;
      return this.integer();
    }

    nested(read) {
      if (++this.depth > MAX_DEPTH) this.refuse(`nested deeper than ${MAX_DEPTH}`);
      const start = this.at++;
      const found = read.call(this);
      if (found instanceof Members) Object.assign(found, { start, end: this.at });
      this.depth--;
      return found;
    }

    object() {
      const found = new Members();
      if (this.take('}')) return found;
      do {
        if (this.text[this.at] !== '"') this.refuse('no name of a member');
        const name = this.string();
        if (found.has(name)) this.refuse('a member appears twice');
        if (!this.take(':')) this.refuse('no colon');
        found.set(name, this.value());
      } while (this.take(','));
      if (!this.take('}')) this.refuse('no end of an object');
      return found;
    }

    array() {
      const found = [];
      if (this.take(']')) return found;
      do found.push(this.value()); while (this.take(','));
      if (!this.take(']')) this.refuse('no end of a list');
      return found;
    }

    string() {
      let found = '';
      for (let from = ++this.at; ; from = this.at) {
        while (this.at < this.text.length && this.text.charCodeAt(this.at) >= 0x20
          && this.text[this.at] !== '"' && this.text[this.at] !== '\\') this.at++;
        found += this.text.slice(from, this.at);
        if (this.take('"')) break;
        if (!this.take('\\')) this.refuse('a control character or the end within a text');
        found += this.escape();
      }
      if (this.unwanted.test(found)) this.refuse('a character that has no place here');
      return found;
    }

    escape() {
      const letter = this.text[this.at++];
      if (letter !== 'u') return Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : this.refuse('an unknown escape');
      const digits = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.refuse('an escape without four digits');
      this.at += 4;
      return String.fromCharCode(parseInt(digits, 16));
    }

    integer() {
      const digits = /^-?[0-9]+/.exec(this.text.slice(this.at, this.at + 24))?.[0] ?? this.refuse('no value');
      if (!/^(0|-?[1-9][0-9]*)$/.test(digits)) this.refuse('a number in another spelling');
      if (digits.length > 17 || !Number.isSafeInteger(Number(digits))) this.refuse('an integer beyond 2^53 - 1');
      this.at += digits.length;
      if (/[.eE0-9]/.test(this.text[this.at] ?? '')) this.refuse('a number that is no integer');
      return Number(digits);
    }
  }

  const UNPRINTABLE = /[^ -~]/; // of evidence and of what is sealed
  const UNPRINTABLE_FACTS = /[^ -~\n]/; // a remedy has lines
  const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/; // half a character

  function parsed(bytes, what, unwanted, canonical) {
    const text = decoded(bytes, what);
    const found = new Parser(text, what, unwanted).whole();
    need(canonical(found) === text, `${what}: not canonical`);
    return found;
  }

  function line(bytes, what, unwanted, canonical) {
    need(bytes.length <= MAX_LINE_BYTES, `${what}: longer than ${MAX_LINE_BYTES} bytes`);
    need(bytes.every((byte) => byte >= 0x20 && byte <= 0x7e), `${what}: not printable ASCII`);
    return parsed(bytes, what, unwanted, canonical);
  }

  // Go's encoder, members in the order they have: what receipts and entries are hashed in.
  const goString = (text) => JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, escaped);
  const go = (value) => encoded(value, goString, (names) => names);

  // RFC 8785. All keys are ASCII here, or it is none of ours.
  const jcs = (value) => encoded(value, JSON.stringify, (names) => {
    for (const name of names) need(!UNPRINTABLE.test(name), `the member ${shown(name)} has a name that is not ASCII`);
    return names.sort();
  });

  function encoded(value, string, order) {
    if (typeof value === 'string') return string(value);
    if (Array.isArray(value)) return `[${value.map((item) => encoded(item, string, order)).join(',')}]`;
    if (!(value instanceof Map)) return String(value);
    const member = (name) => `${string(name)}:${encoded(value.get(name), string, order)}`;
    return `{${order([...value.keys()]).map(member).join(',')}}`;
  }

  // packet.json: two spaces, sorted, ASCII.
  function pretty(value, indent = '\n') {
    const deeper = `${indent}  `;
    const inside = (items) => (items.length ? deeper + items.join(`,${deeper}`) + indent : '');
    if (typeof value === 'string') return ascii(JSON.stringify(value));
    if (Array.isArray(value)) return `[${inside(value.map((item) => pretty(item, deeper)))}]`;
    if (!(value instanceof Map)) return String(value);
    const member = (name) => `${pretty(name)}: ${pretty(value.get(name), deeper)}`;
    return `{${inside([...value.keys()].sort().map(member))}}`;
  }

  // A literal as the values above have it.
  function made(literal) {
    if (Array.isArray(literal)) return literal.map(made);
    if (literal === null || typeof literal !== 'object' || literal instanceof Map) return literal;
    return new Map(Object.entries(literal).map(([name, item]) => [name, made(item)]));
  }

  const isObject = (value) => value instanceof Map;
  const isText = (value) => typeof value === 'string';
  const isCount = (value) => typeof value === 'number' && value >= 0; // the parser makes integers only
  const isTexts = (value) => Array.isArray(value) && value.every(isText);

  function object(value, what) {
    need(isObject(value), `${what}: not an object`);
    return value;
  }

  // ---- the shapes of the published format: names in signed order, `!` after those that are always there ------------

  const KINDS = {
    int: isCount,
    text: isText,
    word: (value) => isText(value) && value !== '',
    none: (value) => value === null,
    object: isObject,
  };

  function shape(description, inner = {}) {
    return description.trim().split(/[\s,]+/).map((item) => {
      const [, name, always, kind] = /^(\w+)(!?)(?::(\w+))?$/.exec(item);
      return { name, always: always === '!', kind: kind ?? 'text', inner: inner[name] };
    });
  }

  // Nothing, if `found` has the members of `fields`, in their order, and no optional one that is worth nothing.
  function shaped(found, fields, what) {
    object(found, what);
    const names = fields.filter(({ name, always }) => always || found.has(name)).map(({ name }) => name);
    need(same([...found.keys()], names), `${what}: a member that is missing, unknown or out of its place`);
    for (const { name, always, kind, inner } of fields) {
      const value = found.get(name);
      if (value === undefined) continue;
      need(KINDS[kind](value), `${what}: ${name} is not of its kind`);
      const nothing = value === '' || value === 0 || value === false || value?.length === 0;
      need(always || !nothing, `${what}: ${name} is worth nothing, so it would not be written`);
      if (inner) [value].flat().forEach((item) => shaped(item, inner, `${what}: ${name}`));
    }
  }

  // Of the published fields those that this notary fills: in any other a value would be signed and mean anything.
  const ACTION = shape(`version!:int, action_id!:word, action_type!:word, timestamp!:word, principal!, actor!,
    delegation_chain!:none, target!:word, side_effect_class!, reversibility!, policy_hash!, verdict!:word,
    decision_phase, transport!:word, method, layer, pattern, request_id, chain_prev_hash!:word, chain_seq!:int,
    run_nonce!, session_control:object`);
  const RECEIPT = shape('version!:int, action_record!:object, signature!, signer_key!', { action_record: ACTION });
  const ENTRY = shape(`v!:int, seq!:int, ts!, session_id!, type!, event_kind!, transport!, summary!, detail!:object,
    prev_hash!, hash!`);
  const ROOT = shape('session_id!, final_seq!:int, root_hash!, receipt_count!:int, start_time!, end_time!');
  const CHECKPOINT = shape('entry_count!:int, first_seq!:int, last_seq!:int, signature!');
  const CONTROLS = {
    session_open: shape(`run_nonce!, open_nonce!, recorder_session!, policy_hash!, signer_key_epoch!,
      heartbeat_seconds!:int, chain_open_seq!:int, genesis_hash!, posture_capsule_sha256`),
    heartbeat: shape(`run_nonce!, open_nonce!, beat!:int, chain_head!, chain_seq_head!:int, heartbeat_time!,
      fsync_errors_gated!:int, durability_blocks!:int`),
    session_close: shape(`run_nonce!, open_nonce!, final_seq!:int, root_hash!, receipt_count!:int, close_reason!,
      fsync_errors_gated!:int, durability_blocks!:int`),
  };

  const HEX32 = /^[0-9a-f]{32}$/, HEX64 = /^[0-9a-f]{64}$/, HASH = /^sha256:[0-9a-f]{64}$/;
  const ACTION_TYPES = 'read derive write delegate authorize spend commit actuate unclassified'.split(' ');
  const EFFECTS = {
    read: ['external_read', 'full'], write: ['external_write', 'compensatable'], unclassified: ['none', 'unknown'],
  };
  const OTHER_EFFECTS = ['external_write', 'unknown'];
  const VERDICTS = ['allow', 'block', 'warn']; // of the published ones those that this notary signs
  const TOTALS = ['allow', 'block', 'warn', 'ask', 'strip', 'forward', 'redirect', 'other'];
  const LIFECYCLE_FIELDS = ACTION.filter(({ always }) => always).map(({ name }) => name).concat('session_control');

  // A canonical time as text that compares as the time does.
  function comparable(time, what) {
    const [, seconds, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,8}[1-9]))?Z$/.exec(time) ?? [];
    // A date that no calendar has comes back as another one, or not at all.
    const at = new Date(`${seconds}Z`);
    const exists = seconds && !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 19) === seconds;
    need(exists, `${what}: not a canonical time`);
    return seconds + fraction.padEnd(9, '0');
  }

  // ---- one line, by itself: what it claims, and whether its digests and its signature are those of its bytes -------

  function readLine(bytes, number) {
    const what = `evidence.jsonl line ${number + 1}`;
    const entry = line(bytes, what, UNPRINTABLE, go);
    shaped(entry, ENTRY, what);
    const detail = entry.get('detail');
    need(entry.get('v') === 2 && entry.get('seq') === number && entry.get('session_id') === SESSION,
      `${what}: v, seq or session_id`);
    const time = comparable(entry.get('ts'), `${what}: ts`);
    const read = { what, bytes, entry, detail, time, type: entry.get('type') };
    if (read.type === 'action_receipt') readReceipt(read);
    else {
      const fields = { transcript_root: ROOT, checkpoint: CHECKPOINT }[read.type];
      need(fields, `${what}: unknown type ${shown(read.type)}`);
      shaped(detail, fields, what);
      need(entry.get('event_kind') === read.type && entry.get('transport') === '', `${what}: event_kind or transport`);
    }
    return read;
  }

  function readReceipt(read) {
    const { what, entry, detail } = read;
    shaped(detail, RECEIPT, what);
    const record = detail.get('action_record'), get = (name) => record.get(name);
    need(detail.get('version') === 1 && get('version') === 1, `${what}: version`);
    need(ACTION_TYPES.includes(get('action_type')), `${what}: unknown action_type`);
    need(get('principal') === 'local', `${what}: principal is not what our notary writes`);
    const effects = [get('side_effect_class'), get('reversibility')];
    need(same(effects, EFFECTS[get('action_type')] ?? OTHER_EFFECTS), `${what}: the effects of another action_type`);
    need(VERDICTS.includes(get('verdict')), `${what}: a verdict that this notary does not sign`);
    need(HEX32.test(get('run_nonce')), `${what}: run_nonce`);
    need(HASH.test(get('policy_hash')), `${what}: policy_hash`);
    const at = comparable(get('timestamp'), `${what}: timestamp`);
    need(!at.startsWith('0001-'), `${what}: timestamp is required`);
    const words = [get('verdict'), get('action_type'), get('transport')];
    need(entry.get('summary') === `receipt: ${words.join(' ')}`, `${what}: summary`);
    const outer = [entry.get('event_kind'), entry.get('transport')];
    need(same(outer, words.slice(1)), `${what}: event_kind or transport`);
    const control = get('session_control');
    if (control) readControl(record, control, what);
    else need(words[2] !== LIFECYCLE, `${what}: a decision that goes by the lifecycle's transport`);
    const phase = get('decision_phase');
    need([undefined, 'intent', 'outcome'].includes(phase), `${what}: a phase that this notary does not sign`);
    need(!phase || get('verdict') === 'allow', `${what}: a phase of what is not allowed`);
    Object.assign(read, { record, control, at, signer: detail.get('signer_key') });
    read.key = unhex(read.signer, 32, `${what}: signer_key`);
    const signature = detail.get('signature');
    need(signature.startsWith('ed25519:'), `${what}: signature without its prefix`);
    read.signature = unhex(signature.slice(8), 64, `${what}: signature`);
  }

  function readControl(record, control, what) {
    const kind = control.get('kind');
    need(isText(kind) && Object.hasOwn(CONTROLS, kind), `${what}: unknown session_control`);
    const member = kind.replace('session_', '');
    need(same([...control.keys()], ['kind', member]), `${what}: the members of session_control`);
    shaped(control.get(member), CONTROLS[kind], `${what}: ${kind}`);
    const constant = {
      action_type: 'unclassified', target: `pipelock://session/${member}`, actor: 'sluicegate', verdict: 'allow',
      transport: LIFECYCLE,
    };
    for (const [name, value] of Object.entries(constant)) {
      need(record.get(name) === value, `${what}: ${name} of a lifecycle receipt is ${shown(value)}`);
    }
    for (const name of record.keys()) {
      need(LIFECYCLE_FIELDS.includes(name), `${what}: ${name} has no place in a lifecycle receipt`);
    }
  }

  async function hashLine(read, facts) {
    const { entry, detail, bytes } = read;
    const raw = bytes.subarray(detail.start, detail.end); // the line is ASCII: characters are bytes
    // Two that this profile never has, trace_id and raw_ref, are hashed as empty.
    const names = ['v', 'seq', 'ts', 'session_id', 'trace_id', 'type', 'event_kind', 'transport', 'summary'];
    const head = names.map((name) => `${entry.get(name) ?? ''}\0`).join('');
    const preimage = joined(bytesOf(head), raw, bytesOf(`\0\0${entry.get('prev_hash')}`));
    const jobs = [sha256hex(preimage), sha256(joined(Uint8Array.of(0), bytes))];
    if (read.record) {
      const record = sha256(bytes.subarray(read.record.start, read.record.end));
      jobs.push(sha256hex(raw), record.then((digest) => signed(read.key, read.signature, digest)));
      jobs.push(facts && sha256hex(facts));
    }
    [read.hash, read.leaf, read.digest, read.holds, read.factsDigest] = await Promise.all(jobs);
  }

  // The host of a target: after the scheme, if there is one, and before port and path.
  const HOST = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::\d+)?(?:\/|$)/;

  // ---- the program behind a connection ---------------------------------------------------------------------------

  const MAX_HOLDERS = 4, MAX_ANCESTORS = 8, MAX_PATH = 256; // as the witness keeps to them

  function checkProcess(facts, what) {
    need(isObject(facts), `${what}: process is not an object`);
    onlyMembers(facts, ['found', 'holders'], ['uid', 'socket_cookie', 'holder_count'], what);
    const socket = facts.has('uid'), listed = facts.get('holders');
    need(socket === facts.has('socket_cookie'), `${what}: half a socket`);
    need(Array.isArray(listed) && listed.length <= MAX_HOLDERS, `${what}: more than ${MAX_HOLDERS} holders`);
    const many = facts.has('holder_count') ? facts.get('holder_count') : listed.length;
    need(isCount(many), `${what}: holder_count is no count`);
    const fits = {
      exited: many === 0,
      exact: many === 1 && socket,
      shared: many > 1 && listed.length > 0 && socket,
      unsearched: socket,
    };
    need(Object.hasOwn(fits, facts.get('found')) && fits[facts.get('found')], `${what}: found does not fit the holders`);
    need(!facts.has('holder_count') || (many > listed.length && listed.length > 0), `${what}: holder_count is no count`);
    need(!socket || (isCount(facts.get('uid')) && /^[0-9a-f]{16}$/.test(facts.get('socket_cookie'))),
      `${what}: not a uid and a cookie`);
    for (const holder of listed) {
      need(isObject(holder), `${what}: a holder is not an object`);
      onlyMembers(holder, ['pid', 'start_ticks', 'cgroup', 'ancestors'], ['exe', 'exe_sha256', 'exe_unhashed', 'argv_sha256'], what);
      oneProcess(holder, what);
      need(holder.has('exe_sha256') !== holder.has('exe_unhashed'), `${what}: neither or both of digest and reason`);
      for (const name of ['exe_sha256', 'argv_sha256']) {
        need(!holder.has(name) || (isText(holder.get(name)) && HEX64.test(holder.get(name))), `${what}: ${name} is no digest`);
      }
      for (const name of ['cgroup', 'exe_unhashed']) need(!holder.has(name) || isPath(holder.get(name)), `${what}: ${name}`);
      const ancestors = holder.get('ancestors');
      need(Array.isArray(ancestors) && ancestors.length <= MAX_ANCESTORS, `${what}: more than ${MAX_ANCESTORS} ancestors`);
      for (const ancestor of ancestors) {
        need(isObject(ancestor), `${what}: an ancestor is not an object`);
        onlyMembers(ancestor, ['pid', 'start_ticks'], ['exe'], what);
        oneProcess(ancestor, what);
      }
    }
  }

  const isPath = (value) => isText(value) && value.length <= MAX_PATH;

  function oneProcess(facts, what) {
    need(isCount(facts.get('pid')) && facts.get('pid') > 0, `${what}: pid is no process`);
    need(isCount(facts.get('start_ticks')), `${what}: start_ticks is no count`);
    need(!facts.has('exe') || isPath(facts.get('exe')), `${what}: exe is longer than ${MAX_PATH}`);
  }

  function onlyMembers(facts, wanted, allowed, what) {
    need(wanted.every((name) => facts.has(name)), `${what}: a process without ${wanted.join(' or ')}`);
    need([...facts.keys()].every((name) => wanted.includes(name) || allowed.includes(name)),
      `${what}: a process with a member it can not have`);
  }

  // ---- the record: every line where it belongs ---------------------------------------------------------------------

  // Two sequences that can not meet: UUIDs of version 7 by the gate, of version 8 by the notary (RFC 9562).
  const uuid = (version) =>
    new RegExp(`^[0-9a-f]{8}-[0-9a-f]{4}-${version}[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`);
  const IDS = { gate: uuid(7), notary: uuid(8) };

  class Replay {
    entries = 0;
    prev = 'genesis'; // of entries
    root = ''; // of receipts: the hash of the last
    receipts = 0;
    beats = 0;
    time = '';
    first = '';
    last = '';
    leaves = [];
    waits = new Set(); // ids of intents that have no outcome yet
    latest = { gate: '', notary: '' }; // ids rise, so one that is later than the last was never there before
    boundary = null; // the facts of the last decision
    rooted = false;
    closed = false;
    ended = false;
    totals = new Map(TOTALS.map((name) => [name, 0]));
    transports = new Map();
    layers = new Map();
    domains = new Set();

    async place(read, facts) {
      const { what, entry } = read;
      need(!this.ended, `${what}: stands after the checkpoint`);
      need(entry.get('prev_hash') === this.prev, `${what}: prev_hash mismatch`);
      need(entry.get('hash') === read.hash, `${what}: the hash does not reproduce`);
      if (read.record) await this.receipt(read, facts);
      else if (read.type === 'transcript_root') this.transcript(read);
      else await this.checkpoint(read);
      this.passes(read.time, what);
      this.prev = read.hash;
      this.leaves.push(read.leaf);
      this.entries++;
    }

    passes(time, what) {
      need(time >= this.time, `${what}: time runs backwards`);
      this.time = time;
    }

    async receipt(read, facts) {
      const { what, record, control } = read, get = (name) => record.get(name);
      need(!this.closed, `${what}: a receipt after session_close`);
      need(read.holds, `${what}: signature verification failed`);
      need(get('chain_seq') === this.receipts, `${what}: chain_seq ${get('chain_seq')}, expected ${this.receipts}`);
      this.passes(read.at, what);
      if (!this.receipts) await this.open(read);
      else {
        need(read.signer === this.signer, `${what}: another signer`);
        need(get('chain_prev_hash') === this.root, `${what}: chain_prev_hash mismatch`);
        need(get('run_nonce') === this.nonce, `${what}: another run_nonce`);
        need(get('policy_hash') === this.policy, `${what}: another policy_hash`);
        if (control) this.later(control, what);
        else this.decision(read, facts);
      }
      this.pair(read);
      this.count(record);
      this.root = read.digest;
      this.last = get('timestamp');
      this.receipts++;
    }

    // The first link is bound to the opening itself: each part framed by its length, those that we never have as empty.
    async open({ what, record, control, signer, key }) {
      const opened = control?.get('open');
      need(opened, `${what}: the first receipt is no session_open`);
      const get = (name) => opened.get(name) ?? '';
      need(HEX32.test(get('open_nonce')), `${what}: open_nonce`);
      const bound = [get('run_nonce') === record.get('run_nonce'), get('policy_hash') === record.get('policy_hash'),
        get('signer_key_epoch') === signer, get('recorder_session') === SESSION, get('chain_open_seq') === 0];
      need(bound.every(Boolean), `${what}: session_open says other things than its receipt`);
      const posture = get('posture_capsule_sha256');
      need(posture === '' || HEX64.test(posture), `${what}: posture_capsule_sha256`);
      const number = (value) => {
        const eight = new Uint8Array(8);
        new DataView(eight.buffer).setBigUint64(0, BigInt(value));
        return eight;
      };
      const named = ['run_nonce', 'open_nonce', 'recorder_session', 'policy_hash', 'signer_key_epoch'];
      const frames = [bytesOf('pipelock.receipt.session_open.v1'), ...named.map((name) => bytesOf(get(name))),
        number(get('heartbeat_seconds')), bytesOf(''), bytesOf(''), bytesOf(posture), bytesOf(''), bytesOf('')];
      const genesis = `g1:${await sha256hex(joined(...frames.flatMap((frame) => [number(frame.length), frame])))}`;
      const links = [get('genesis_hash'), record.get('chain_prev_hash')];
      need(same(links, [genesis, genesis]), `${what}: genesis does not reproduce`);
      Object.assign(this, {
        signer, key, posture, nonce: get('run_nonce'), openNonce: get('open_nonce'), policy: get('policy_hash'),
        first: record.get('timestamp'),
      });
    }

    later(control, what) {
      const kind = control.get('kind');
      need(kind !== 'session_open', `${what}: a second session_open`);
      const payload = control.get(kind.replace('session_', ''));
      const expected = { run_nonce: this.nonce, open_nonce: this.openNonce };
      Object.assign(expected, { fsync_errors_gated: 0, durability_blocks: 0 }); // what is not recorded does not pass
      if (kind === 'heartbeat') {
        comparable(payload.get('heartbeat_time'), `${what}: heartbeat_time`);
        Object.assign(expected, { beat: ++this.beats, chain_head: this.root, chain_seq_head: this.receipts - 1 });
      } else {
        Object.assign(expected, { final_seq: this.receipts, root_hash: this.root, receipt_count: this.receipts + 1 });
        this.closed = true;
      }
      for (const [name, value] of Object.entries(expected)) {
        need(payload.get(name) === value, `${what}: ${kind} claims another ${name}`);
      }
    }

    decision({ what, record, factsDigest }, facts) {
      need(!this.boundary, `${what}: a decision after the boundary was closed`);
      need(facts, `${what}: flows.jsonl has no line for it`);
      need(record.get('request_id') === `sha256:${factsDigest}`, `${what}: flows.jsonl holds another line for it`);
      const flow = line(facts, `${what}: its line of flows.jsonl`, UNPRINTABLE_FACTS, jcs);
      need(isText(flow.get('kind')), `${what}: its facts have no kind`);
      const isBoundary = flow.get('kind') === BOUNDARY;
      need(isBoundary === (record.get('transport') === BOUNDARY), `${what}: facts of the boundary by another way`);
      if (isBoundary) this.boundary = flow;
      if (!flow.has('process')) return;
      need(flow.get('kind') === 'connection', `${what}: a process of something that is no connection`);
      need(record.get('decision_phase') !== 'outcome', `${what}: a process where only decisions have one`);
      checkProcess(flow.get('process'), what);
    }

    pair({ what, record }) {
      const phase = record.get('decision_phase'), action = record.get('action_id');
      if (phase === 'outcome') {
        need(this.waits.delete(action), `${what}: an outcome without its intent`);
        return;
      }
      const whose = [LIFECYCLE, BOUNDARY].includes(record.get('transport')) ? 'notary' : 'gate';
      need(IDS[whose].test(action), `${what}: action_id is not one of the ${whose}'s`);
      need(action > this.latest[whose], `${what}: action_id is not later than the ones before`);
      this.latest[whose] = action;
      if (phase === 'intent') this.waits.add(action);
    }

    count(record) {
      const more = (counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1);
      const [verdict, transport, layer] = ['verdict', 'transport', 'layer'].map((name) => record.get(name));
      more(this.totals, verdict);
      more(this.transports, transport);
      if (verdict === 'block' && layer) more(this.layers, layer);
      // What goes by these touches no host, and what was refused for its amount names none.
      if ([LIFECYCLE, BOUNDARY, 'dns', 'drop'].includes(transport) || layer === 'limit') return;
      const found = HOST.exec(record.get('target'));
      if (found && this.domains.size <= MAX_DOMAINS) this.domains.add(found[1].toLowerCase());
    }

    transcript({ what, entry, detail }) {
      need(this.closed && !this.rooted, `${what}: a root that is out of place`);
      const expected = {
        session_id: SESSION, final_seq: this.receipts - 1, root_hash: this.root, receipt_count: this.receipts,
        start_time: this.first, end_time: this.last,
      };
      for (const [name, value] of Object.entries(expected)) {
        need(detail.get(name) === value, `${what}: another ${name}`);
      }
      const summary = `transcript_root: ${this.receipts} receipts, root=${this.root.slice(0, 16)}`;
      need(entry.get('summary') === summary, `${what}: summary`);
      this.rooted = true;
    }

    async checkpoint({ what, entry, detail }) {
      need(this.rooted, `${what}: a checkpoint that is out of place`);
      const span = [this.entries, 0, this.entries - 1];
      const claimed = ['entry_count', 'first_seq', 'last_seq'].map((name) => detail.get(name));
      need(same(span, claimed), `${what}: another span`);
      need(entry.get('summary') === `checkpoint: ${span[0]} entries [seq 0-${span[2]}]`, `${what}: summary`);
      const signature = unhex(detail.get('signature'), 64, `${what}: signature`);
      const holds = await signed(this.key, signature, bytesOf(this.prev));
      need(holds, `${what}: the checkpoint's signature verification failed`);
      this.ended = true;
    }

    get unanswered() {
      return this.waits.size;
    }
  }

  async function replay(evidence, flows) {
    const state = new Replay(), facts = linesOf(flows);
    let batch = [], number = 0;
    const settle = async () => {
      await Promise.all(batch.map(([read, its]) => hashLine(read, its)));
      for (const [read, its] of batch) await state.place(read, its);
      batch = [];
    };
    for (const bytes of linesOf(evidence)) {
      let read;
      try {
        read = readLine(bytes, number++);
      } catch (error) {
        await settle(); // a line before it may be the one to name
        throw error;
      }
      const decides = read.record && !read.control;
      batch.push([read, decides ? facts.next().value : undefined]);
      if (batch.length === LINES_AT_ONCE) await settle();
    }
    await settle();
    need(state.receipts, 'the record holds no receipts');
    state.torn = torn(evidence) || torn(flows);
    if (state.closed) {
      need(!state.torn, 'a file of a closed record ends within a line');
      need(facts.next().done, 'flows.jsonl has more lines than the receipts name');
      need(state.boundary, 'the last flow is not the boundary\'s');
    }
    return state;
  }

  // RFC 6962 section 2.1. Pairs from the left, level by level; what has no partner goes up as it is.
  async function treeRoot(leaves) {
    let level = leaves;
    while (level.length > 1) {
      const above = [];
      for (let at = 0; at < level.length; at += 2 * LINES_AT_ONCE) {
        const pairs = [];
        for (let one = at; one < Math.min(at + 2 * LINES_AT_ONCE, level.length); one += 2) {
          const [left, right] = [level[one], level[one + 1]];
          pairs.push(right ? sha256(joined(Uint8Array.of(1), left, right)) : left);
        }
        above.push(...await Promise.all(pairs));
      }
      level = above;
    }
    return level[0];
  }

  // ---- the files around the record ---------------------------------------------------------------------------------

  // Of the CI job; bound before the command began.
  const JOB = ['repository', 'workflow', 'run_id', 'run_attempt', 'ref', 'sha'];

  async function measured(state, files) {
    need(files.has('policy.json'), 'policy.json is missing');
    const policy = `sha256:${await sha256hex(files.get('policy.json'))}`;
    need(policy === state.policy, 'policy.json is not the policy of the record');
    const data = files.get('boundary.json');
    if (!data) {
      need(!state.closed, 'boundary.json is missing');
      return null;
    }
    need(data[data.length - 1] === 10, 'boundary.json: no newline at its end');
    const found = parsed(data.subarray(0, -1), 'boundary.json', LONE, jcs);
    const opened = object(found.get('open'), 'boundary.json: open');
    need(await sha256hex(bytesOf(jcs(opened))) === state.posture, 'boundary.json\'s open part is not the record\'s');
    const members = state.closed ? ['close', 'open'] : ['open'];
    need(same([...found.keys()], members), `boundary.json: its members are not ${members.join(' and ')}`);
    if (!state.closed) return found;
    const whole = `sha256:${await sha256hex(data)}`;
    need(state.boundary.get('boundary_sha256') === whole, 'boundary.json is not the one in the record');
    const close = object(found.get('close'), 'boundary.json: close');
    const counters = object(close.get('counters'), 'boundary.json: counters');
    const told = new Map([...counters, ['kind', BOUNDARY], ['boundary_sha256', whole]]);
    const run = object(close.get('run'), 'boundary.json: run');
    const job = object(opened.get('ci') ?? new Map(), 'boundary.json: ci');
    const said = new Map([...run].filter(([name]) => JOB.includes(name)));
    need(jcs(said) === jcs(job), 'boundary.json: another CI job at the close than at the start');
    need(told.size === counters.size + 2, 'boundary.json: a counter with the name of something else');
    need(jcs(told) === jcs(state.boundary), 'boundary.json and the record count the kernel\'s packets differently');
    return found;
  }

  const POSTURE = {
    raw_socket_status: ['denied', 'allowed', 'unknown'],
    docker_socket_status: ['denied', 'masked', 'allowed', 'absent', 'unknown'],
    dns_udp_status: ['denied', 'proxied', 'allowed', 'unknown'],
    browser_proxy_status: ['forced', 'advisory', 'absent', 'unknown'],
    websocket_frame_scanning: ['explicit_ws_proxy_path_required', 'always_on', 'off'],
  };
  const word = (value) => isText(value) && value !== '';
  const exitCode = (value) => typeof value === 'number' && value >= -(2 ** 31);
  const named = (names, check) => Object.fromEntries(names.map((name) => [name, check]));
  const RUN_MEMBERS = {
    ...named(['agent_identity', 'repository', 'workflow', 'run_id', 'run_attempt', 'ref', 'sha', 'started_at',
      'completed_at'], word),
    provider: (value) => ['github_actions', 'self_hosted', 'local'].includes(value),
    agent_exit_code: exitCode,
  };
  const POSTURE_MEMBERS = {
    ...named(['enforcement_mode', 'runner_os', 'runner_arch', 'network_namespace', 'agent_user', 'host_user', 'host_ip',
      'agent_ip', 'proxy_url', 'script_basename'], word),
    ...named(['agent_uid', 'host_uid', 'script_arg_count'], isCount),
    ...Object.fromEntries(Object.entries(POSTURE).map(([name, values]) => [name, (value) => values.includes(value)])),
    unsupported_paths: isTexts,
  };

  function members(found, known, required, what) {
    for (const name of required) need(found.has(name), `${what} lacks ${name}`);
    for (const [name, value] of found) {
      need(Object.hasOwn(known, name) && known[name](value), `${what}: ${shown(name)} is unknown, or not of its kind`);
    }
    return found;
  }

  // The Audit Packet v0 that the record supports: every member of it, so that none can be changed on its own.
  function auditPacket(state, boundary) {
    const opened = boundary.get('open'), run = new Map(object(boundary.get('close').get('run'), 'boundary.json: run'));
    const given = run.get('key') === 'given';
    run.delete('key');
    run.set('started_at', opened.get('started_at'));
    members(run, RUN_MEMBERS, ['agent_identity', 'provider', 'started_at'], 'boundary.json: run');
    const posture = object(opened.get('posture'), 'boundary.json: posture');
    const always = ['enforcement_mode', 'runner_os', 'unsupported_paths', ...Object.keys(POSTURE)];
    members(posture, POSTURE_MEMBERS, always, 'boundary.json: posture');
    const summary = made({
      receipt_count: state.receipts, totals: state.totals, transports: state.transports, layers: state.layers,
    });
    if (state.domains.size <= MAX_DOMAINS) summary.set('domains_touched', [...state.domains].sort());
    return made({
      schema_version: 'pipelock.audit_packet.v0',
      generated_at: `${state.last.slice(0, 19)}Z`,
      run,
      policy: { policy_hashes: [state.policy], config_path: 'policy.json' },
      summary,
      verifier: {
        verdict: given ? 'valid' : 'self_consistent_only', trusted: given, receipt_count: state.receipts,
        final_seq: state.receipts - 1, root_hash: state.root, signer_key: state.signer,
      },
      posture,
      artifacts: { packet: 'packet.json', evidence: 'evidence.jsonl', verifier: 'summary.md', summary: 'summary.md' },
    });
  }

  // What cannot stand in the name of a key: white space, a plus, a control character.
  const UNNAMED = /[\0-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000+]/;

  // C2SP signed-note and tlog-checkpoint: origin, size, root, and below the empty line the signatures. Those of other
  // keys, witnesses above all, say nothing here and are passed over.
  async function checkNote(state, data) {
    need(data.length <= MAX_NOTE_BYTES, `checkpoint: longer than ${MAX_NOTE_BYTES} bytes`);
    const whole = decoded(data, 'checkpoint'), cut = whole.lastIndexOf('\n\n');
    need(cut >= 0 && whole.endsWith('\n'), 'checkpoint: not a signed note');
    const origin = `sluicegate/run/${state.nonce}`, text = whole.slice(0, cut + 1);
    const root = base64(await treeRoot(state.leaves));
    need(text === `${origin}\n${state.leaves.length}\n${root}\n`, 'checkpoint is the head of another tree');
    const id = (await sha256(joined(bytesOf(`${origin}\n`), Uint8Array.of(1), state.key))).subarray(0, 4);
    const signatures = whole.slice(cut + 2, -1).split('\n');
    need(signatures.length <= MAX_SIGNATURES, `checkpoint: more than ${MAX_SIGNATURES} signatures`);
    let holds = false;
    for (const signature of signatures) {
      const [, name, encoding] = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(signature) ?? [];
      need(name && !UNNAMED.test(name), 'checkpoint: a signature line in another form');
      const raw = unbase64(encoding, 'checkpoint: a signature');
      need(raw.length > 4, 'checkpoint: an empty signature');
      if (name !== origin || !same(raw.subarray(0, 4), id)) continue;
      need(await signed(state.key, raw.subarray(4), bytesOf(text)), 'checkpoint: signature verification failed');
      holds = true;
    }
    need(holds, 'checkpoint: no signature by the record\'s key');
  }

  // ---- the two seals: Sigstore bundle v0.3, DSSE, in-toto Statement v1 ---------------------------------------------

  const SPKI = unhex('302a300506032b6570032100', 12, 'RFC 8410');
  const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
  const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

  async function openedBundle(data, key, what) {
    need(data.length <= MAX_BUNDLE_BYTES, `${what}: longer than ${MAX_BUNDLE_BYTES} bytes`);
    const found = parsed(data, what, UNPRINTABLE, jcs);
    const envelope = object(found.get('dsseEnvelope'), `${what}: dsseEnvelope`);
    const payload = envelope.get('payload'), only = envelope.get('signatures')?.[0];
    need(isText(payload) && isObject(only) && isText(only.get('sig')), `${what}: no payload or no signature`);
    const expected = made({
      mediaType: MEDIA_TYPE,
      verificationMaterial: { publicKey: { hint: base64(await sha256(joined(SPKI, key))) }, tlogEntries: [] },
      dsseEnvelope: { payload, payloadType: PAYLOAD_TYPE, signatures: [{ sig: only.get('sig') }] },
    });
    need(jcs(found) === jcs(expected), `${what}: another type, the hint of another key, or a member we never write`);
    const statement = unbase64(payload, `${what}: payload`);
    const signature = unbase64(only.get('sig'), `${what}: signature`);
    need(signature.length === 64, `${what}: the signature has ${signature.length} bytes, not 64`);
    const head = `DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${statement.length} `;
    need(await signed(key, signature, joined(bytesOf(head), statement)), `${what}: signature verification failed`);
    return decoded(statement, `${what}: statement`);
  }

  // What a reader of the message most wants to know: which file it is.
  function difference(statement, digests) {
    const sealed = new Map();
    try {
      for (const subject of new Parser(statement, 'statement', LONE).whole().get('subject')) {
        if (subject.has('name')) sealed.set(subject.get('name'), subject.get('digest').get('sha256'));
      }
    } catch {
      return 'the statement is not as its writer makes it';
    }
    for (const [name, digest] of digests) {
      if (!sealed.has(name)) return `${name} is in the packet, but not sealed`;
      if (sealed.get(name) !== digest) return `${name} is not the file that was sealed`;
    }
    for (const name of sealed.keys()) if (!digests.has(name)) return `${shown(name)} is sealed, but not in the packet`;
    return 'says other things of the run than the record';
  }

  async function checkSeal(files, what, key, digests, predicateType, predicate, commit) {
    const said = await openedBundle(files.get(what), key, what);
    const subject = [...digests.keys()].sort().map((name) => ({ name, digest: { sha256: digests.get(name) } }));
    if (commit) subject.push({ digest: { gitCommit: commit } });
    const statement = jcs(made({ _type: 'https://in-toto.io/Statement/v1', subject, predicateType, predicate }));
    need(!UNPRINTABLE.test(statement), `${what}: what the record says of the run is not printable ASCII`);
    need(said === statement, `${what}: ${difference(said, digests)}`);
  }

  function trace(state, opened) {
    const name = opened.get('command') instanceof Map ? opened.get('command').get('name') ?? '' : '';
    need(isText(name), 'boundary.json: the command\'s name is not a text');
    const hosts = state.domains.size <= MAX_DOMAINS ? [...state.domains].sort().slice(0, MAX_HOSTS) : [];
    return {
      monitor: {
        type: 'urn:sluicegate:gate:v1',
        configSource: { name: 'policy.json', digest: { sha256: state.policy.slice('sha256:'.length) } },
        tracePolicy: { default: 'deny', synchronous: true },
      },
      monitoredProcess: {
        hostID: `urn:sluicegate:run:${state.nonce}`, type: 'urn:sluicegate:command:v1', event: name || 'command',
      },
      monitorLog: { network: [{ totals: state.totals }, ...hosts.map((hostname) => ({ hostname }))] },
    };
  }

  function probes(opened, digest) {
    const told = opened.get('probe') instanceof Map ? opened.get('probe').get('results') : null;
    const results = told instanceof Map && told.size ? told : new Map([['probe', 'unknown']]);
    for (const value of results.values()) {
      need(['passed', 'failed', 'unknown'].includes(value), 'boundary.json: a result that no probe has');
    }
    const those = (wanted) => [...results.keys()].filter((name) => results.get(name) === wanted).sort();
    const failedTests = those('failed'), warnedTests = those('unknown');
    return {
      result: failedTests.length ? 'FAILED' : warnedTests.length ? 'WARNED' : 'PASSED',
      configuration: [{ name: 'boundary.json', digest: { sha256: digest } }],
      passedTests: those('passed'), warnedTests, failedTests,
    };
  }

  async function checkSeals(state, opened, files) {
    const digests = new Map();
    for (const [name, data] of files) if (name !== SEAL) digests.set(name, await sha256hex(data));
    const commit = isText(opened.get('commit')) ? opened.get('commit') : '';
    need(/^(|[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit), 'boundary.json: the commit is not the hex of a git object');
    const type = 'https://in-toto.io/attestation/';
    await checkSeal(files, SEAL, state.key, digests, `${type}runtime-trace/v0.1`, trace(state, opened), commit);
    digests.delete(PROBES);
    const results = probes(opened, digests.get('boundary.json'));
    await checkSeal(files, PROBES, state.key, digests, `${type}test-result/v0.1`, results, '');
  }

  // ---- the whole ---------------------------------------------------------------------------------------------------

  async function checked(files) {
    for (const name of files.keys()) {
      need(RECORD.includes(name) || FINISHED.includes(name), `${shown(name)} is no file of a packet`);
    }
    const nothing = new Uint8Array(0);
    const state = await replay(files.get('evidence.jsonl') ?? nothing, files.get('flows.jsonl') ?? nothing);
    const boundary = await measured(state, files);
    if (!state.ended) {
      for (const name of FINISHED) need(!files.has(name), `${name} of a record whose end is not signed`);
      return state;
    }
    for (const name of FINISHED) need(files.has(name), `${name} is missing`);
    const packet = bytesOf(`${pretty(auditPacket(state, boundary))}\n`);
    need(same(packet, files.get('packet.json')), 'packet.json says other things than the record');
    const page = new TextDecoder('latin1').decode(files.get('VERIFY.md'));
    const rest = page.replace(state.nonce, '@NONCE@').replace(state.signer, '@SIGNER@');
    need(await sha256hex(bytesOf(rest)) === COMMANDS, 'VERIFY.md says other things than the record');
    await checkNote(state, files.get('checkpoint'));
    await checkSeals(state, boundary.get('open'), files);
    return state;
  }

  function closed(state) {
    if (state.torn) return [false, 'a file ends within a line: its writer died there, or it was cut'];
    if (!state.closed) return [false, 'no session_close: the record is a prefix, its end unknown'];
    if (!state.ended) return [false, 'no signed checkpoint over the root: the end is not proven'];
    if (state.unanswered) return [false, `${state.unanswered} allowed flows have no outcome`];
    return [true, `the end is signed: ${state.receipts} receipts, root ${state.root.slice(0, 16)}`];
  }

  function pinned(state, keys) {
    if (!keys.length) return [false, 'no key given: the record is consistent with itself, its signer unknown'];
    const found = keys.some((key) => same(key, state.key));
    return [found, found ? 'signed by a given key' : `signed by another key than the given: ${state.signer}`];
  }

  function report(outcome, levels, state) {
    const told = Object.entries(levels).map(([level, [reached, reason]]) => [level, { reached, reason }]);
    return {
      schema: 'sluicegate.verification.v0',
      outcome,
      levels: Object.fromEntries(told),
      receipts: state?.receipts ?? 0,
      root: state?.root ?? '',
      signer_key: state?.signer ?? '',
      run_nonce: state?.nonce ?? '',
      policy_hash: state?.policy ?? '',
      totals: Object.fromEntries(state?.totals ?? TOTALS.map((name) => [name, 0])),
    };
  }

  // What the packet `files` (name to bytes) supports; `keys` are the raw public keys the caller trusts.
  // It rejects only where the platform can not verify at all.
  async function verifyPacket(files, keys) {
    let state;
    try {
      state = await checked(files);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const why = [false, error.message];
      return report(INVALID, { INTACT: why, CLOSED: why, PINNED: why });
    }
    const levels = {
      INTACT: [true, `${state.receipts} receipts, every line reproduces`],
      CLOSED: closed(state),
      PINNED: pinned(state, keys),
    };
    // An end that is not proven weighs more than a signer that is not trusted.
    const outcome = !levels.CLOSED[0] ? UNPROVEN : !levels.PINNED[0] ? UNTRUSTED : VERIFIED;
    return report(outcome, levels, state);
  }

  // The public key in a key's text: 64 hexadecimal digits, or the two lines of a key file. Null if it is neither.
  function readKey(text) {
    const lines = text.trim().split(/\r?\n/).map((found) => found.trim());
    if (lines.length === 1 && /^[0-9a-fA-F]{64}$/.test(lines[0])) return unhex(lines[0].toLowerCase(), 32, 'key');
    if (lines.length !== 2 || lines[0] !== 'pipelock-ed25519-public-v1') return null;
    try {
      const raw = unbase64(lines[1], 'key');
      return raw.length === 32 ? raw : null;
    } catch {
      return null;
    }
  }

  const WORDS = {
    [VERIFIED]: 'verified',
    [INVALID]: 'INVALID',
    [UNPROVEN]: 'an intact prefix; its end is not proven',
    [UNTRUSTED]: 'sound, but its signer is not pinned',
  };

  // The report as lines for people, the verdict first.
  function asText({ outcome, levels }) {
    const rung = ([level, { reached, reason }]) => `${level}: ${reached ? 'yes' : 'no'} (${reason})`;
    const page = levels.CLOSED.reached ? ['summary.md: sealed; its words were not compared with the record'] : [];
    return [`${WORDS[outcome]} (exit ${outcome})`, ...Object.entries(levels).map(rung), ...page].join('\n');
  }

  return { verifyPacket, readKey, asText, provide, RECORD, FINISHED, USAGE };
})();

// ---- Node only -----------------------------------------------------------------------------------------------------

if (typeof module !== 'undefined' && typeof require === 'function') {
  const crypto = require('node:crypto');
  const fs = require('node:fs');
  const path = require('node:path');

  const RECORD_BYTES = 2 ** 30, SMALL_BYTES = 2 ** 24, KEY_BYTES = 65536; // the most that is read of one file
  const USE = 'usage: node sluicegate-verify.js PACKET_DIR [--key HEX64_OR_PUBFILE]... [--json]';

  class UsageError extends Error {}

  const contents = (name, most, flags) => {
    const descriptor = fs.openSync(name, flags);
    try {
      const strict = flags & fs.constants.O_NOFOLLOW; // a key may come by a link or a pipe; a packet's file may not
      if (strict && !fs.fstatSync(descriptor).isFile()) throw new UsageError(`${name}: not a regular file`);
      const pieces = [];
      for (let size = 0; ;) {
        const piece = Buffer.alloc(1 << 20);
        const count = fs.readSync(descriptor, piece);
        if (!count) return Buffer.concat(pieces);
        pieces.push(piece.subarray(0, count));
        if ((size += count) > most) throw new UsageError(`${name}: more than ${most} bytes`);
      }
    } finally {
      fs.closeSync(descriptor);
    }
  };

  const packetFiles = (directory) => {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    const names = fs.readdirSync(directory);
    if (!names.includes('evidence.jsonl')) throw new UsageError(`${directory}: no evidence.jsonl in it`);
    const known = [...sluicegate.RECORD, ...sluicegate.FINISHED];
    const read = (name) => {
      if (!known.includes(name)) return new Uint8Array(0); // its name is enough to refuse it
      const most = name.endsWith('.jsonl') ? RECORD_BYTES : SMALL_BYTES;
      return contents(path.join(directory, name), most, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    };
    return new Map(names.map((name) => [name, read(name)]));
  };

  const publicKey = (option) => {
    const isHex = /^[0-9a-fA-F]{64}$/.test(option);
    const text = isHex ? option : contents(option, KEY_BYTES, fs.constants.O_RDONLY).toString('latin1');
    const key = sluicegate.readKey(text);
    if (!key) throw new UsageError(`${option}: not a public key`);
    return key;
  };

  const options = (argv) => {
    const found = { directory: null, keys: [], json: false };
    for (let at = 0; at < argv.length; at++) {
      const word = argv[at];
      if (word === '--json') found.json = true;
      else if (word === '--key' && at + 1 < argv.length) found.keys.push(publicKey(argv[++at]));
      else if (word.startsWith('--key=')) found.keys.push(publicKey(word.slice('--key='.length)));
      else if (!word.startsWith('-') && found.directory === null) found.directory = word;
      else throw new UsageError(USE);
    }
    if (found.directory === null) throw new UsageError(USE);
    return found;
  };

  const main = async (argv) => {
    try {
      const { directory, keys, json } = options(argv);
      const report = await sluicegate.verifyPacket(packetFiles(directory), keys);
      process.stdout.write(`${json ? JSON.stringify(report) : sluicegate.asText(report)}\n`);
      return report.outcome;
    } catch (error) {
      if (!(error instanceof UsageError) && typeof error.syscall !== 'string') throw error;
      process.stderr.write(`sluicegate-verify: ${error.message}\n`);
      return sluicegate.USAGE;
    }
  };

  // Node 18 has WebCrypto, but no global of that name without a flag, and Ed25519 in it only from 18.4 on.
  sluicegate.provide(crypto.webcrypto?.subtle, (key, signature, message) => {
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]);
    return crypto.verify(null, message, crypto.createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  });
  module.exports = sluicegate;
  if (require.main === module) main(process.argv.slice(2)).then((code) => { process.exitCode = code; });
}
