// Verifies a packet of sluicegate: a second reader of the formats, which shares no code with the first.
//
//     node verifier/sluicegate-verify.js PACKET_DIR [--key HEX64_OR_PUBFILE]... [--json]
//
// Exit codes: 0 verified; 1 invalid; 2 usage; 3 an intact prefix whose end is not proven; 4 sound, but signed by no key
// that was given. The same file serves in a page, as a classic script: `await sluicegate.verifyPacket(files, keys)`.
//
// It takes only what the producer writes, byte for byte, so there is no white space to skip and no second spelling to
// understand. Every connection is decided again from policy.json and its facts, and the kernel's counters are held
// against the receipts.
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
  const WORKSPACE = 'workspace.json';
  const FINISHED = ['packet.json', 'summary.md', 'VERIFY.md', WORKSPACE, 'checkpoint', PROBES, SEAL]; // of a closed record only
  // VERIFY.md holds commands that a reader runs, and nothing of the record but the run and its signer: the SHA-256 of
  // the rest of it.
  const COMMANDS = '0aabe6f4fd21d9a956ab1551d03dddac7f7358b59edbb4f7575e50443824e52b';
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
    decision_phase, transport!:word, method, layer, pattern, severity, request_id, chain_prev_hash!:word, chain_seq!:int,
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

  // ---- addresses -------------------------------------------------------------------------------------------------

  // An address is how many bits it has, its number, and perhaps the zone of a link-local one.

  function fourBytes(text) {
    const parts = text.split('.');
    const good = parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256);
    return good ? parts.reduce((value, part) => value * 256n + BigInt(part), 0n) : null;
  }

  // RFC 4291 section 2.2: eight groups, `::` once for one or more of zero, the last two perhaps as an IPv4 address.
  function sixteenBytes(text) {
    const [, head, tail] = /^(.*:)([^:]*\.[^:]*)$/.exec(text) ?? [];
    if (tail !== undefined) {
      const four = fourBytes(tail);
      return four === null ? null : sixteenBytes(`${head}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`);
    }
    const halves = text.split('::').map((half) => (half === '' ? [] : half.split(':')));
    const [before, after = []] = halves, missing = 8 - before.length - after.length;
    const fits = halves.length === 1 ? missing === 0 : halves.length === 2 && missing > 0;
    if (!fits || ![...before, ...after].every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
    const groups = [...before, ...Array(missing).fill('0'), ...after];
    return groups.reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n);
  }

  // Null if `text` is no address.
  function readAddress(text) {
    const four = fourBytes(text);
    if (four !== null) return { bits: 32, value: four, zone: '' };
    const [, digits, zone = ''] = /^([0-9a-fA-F:.]+)(?:%([^%]+))?$/.exec(text) ?? [];
    const six = digits === undefined ? null : sixteenBytes(digits);
    return six === null ? null : { bits: 128, value: six, zone };
  }

  function address(text) {
    const found = readAddress(text);
    need(found, `${shown(text)} is not an address`);
    return found;
  }

  // RFC 5952, but hexadecimal throughout: the first of the longest runs of two zeros or more is `::`.
  function addressText({ bits, value, zone }) {
    const low = (shift, mask) => (value >> BigInt(shift)) & mask;
    if (bits === 32) return [24, 16, 8, 0].map((shift) => low(shift, 0xffn)).join('.');
    const groups = [112, 96, 80, 64, 48, 32, 16, 0].map((shift) => low(shift, 0xffffn).toString(16));
    let start = 0, size = 1;
    for (let at = 0, end; at < 8; at = end + 1) {
      for (end = at; groups[end] === '0';) end++;
      if (end - at > size) [start, size] = [at, end - at];
    }
    const sides = [groups.slice(0, start).join(':'), groups.slice(start + size).join(':')];
    return (size > 1 ? sides.join('::') : groups.join(':')) + (zone && `%${zone}`);
  }

  function isAddress(text) {
    const found = readAddress(text);
    return found !== null && addressText(found) === text;
  }

  // `address/prefix`, canonical and without a bit of any host. Null if it is none.
  function readNetwork(text) {
    const [, first, digits] = /^([0-9a-f:.]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
    if (first === undefined || !isAddress(first)) return null;
    const found = { ...address(first), prefix: Number(digits) };
    if (found.prefix > found.bits) return null;
    const host = BigInt(found.bits - found.prefix);
    return (found.value >> host) << host === found.value ? found : null;
  }

  function within({ bits, value }, network) {
    const host = BigInt(network.bits - network.prefix);
    return bits === network.bits && value >> host === network.value >> host;
  }

  // IANA's special-purpose registries, and where clouds keep their metadata. The first match names the range.
  const INTERNAL = [
    ['169.254.169.254/32', 'metadata'], ['169.254.169.253/32', 'metadata'], ['169.254.170.2/32', 'metadata'],
    ['169.254.170.23/32', 'metadata'], ['100.100.100.200/32', 'metadata'], ['168.63.129.16/32', 'metadata'],
    ['0.0.0.0/8', 'unspecified'], ['10.0.0.0/8', 'private'], ['100.64.0.0/10', 'CGNAT'], ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link-local'], ['172.16.0.0/12', 'private'], ['192.0.0.0/24', 'protocol assignments'],
    ['192.88.99.0/24', '6to4 relay'], ['192.168.0.0/16', 'private'], ['198.18.0.0/15', 'benchmark'],
    ['224.0.0.0/4', 'multicast'], ['255.255.255.255/32', 'broadcast'], ['240.0.0.0/4', 'reserved'],
    ['::/128', 'unspecified'], ['::1/128', 'loopback'], ['fd00:ec2::/32', 'metadata'], ['fd20:ce::254/128', 'metadata'],
    ['fc00::/7', 'ULA'], ['fe80::/10', 'link-local'], ['fec0::/10', 'site-local'], ['ff00::/8', 'multicast'],
    ['100::/64', 'discard'], ['2001:2::/48', 'benchmark'], ['64:ff9b:1::/48', 'local NAT64'],
  ].map(([text, name]) => [readNetwork(text), name]);
  // Prefix, how far the IPv4 address within is from the right end, and the name of the form.
  const MAPPED = readNetwork('::ffff:0:0/96'), COMPATIBLE = readNetwork('::/96'), NAT64 = readNetwork('64:ff9b::/96');
  const SIX_TO_FOUR = readNetwork('2002::/16'), TEREDO = readNetwork('2001::/32');
  const EMBEDDING = [
    [MAPPED, 0, 'v4-mapped'], [readNetwork('::ffff:0:0:0/96'), 0, 'v4-translated'], [COMPATIBLE, 0, 'v4-compatible'],
    [SIX_TO_FOUR, 80, '6to4'], [NAT64, 0, 'NAT64'],
  ];

  const fourOf = (value, shift = 0) => ({ bits: 32, value: (value >> BigInt(shift)) & 0xffffffffn, zone: '' });
  // RFC 4380 section 4: the server in the clear, the client inverted.
  const teredo = (value) => [fourOf(value, 64), fourOf(~value)];

  // The name of the internal range that an address is in; empty if it is public.
  function internal(found) {
    if (found.zone) return 'link-local';
    const range = INTERNAL.find(([network]) => within(found, network));
    if (range) return range[1];
    if (found.bits === 32) return '';
    const embedded = (four, form) => internal(four) && `${form} ${internal(four)}`;
    for (const [network, shift, form] of EMBEDDING) {
      if (within(found, network)) return embedded(fourOf(found.value, shift), form);
    }
    if (within(found, TEREDO)) {
      const [server, client] = teredo(found.value);
      return embedded(server, 'Teredo') || embedded(client, 'Teredo');
    }
    // RFC 5214 section 6.1, the universal bit left out.
    const isatap = ((found.value >> 32n) & 0xfdffffffn) === 0x5efen;
    return isatap ? embedded(fourOf(found.value), 'ISATAP') : '';
  }

  // Whether a rule's network holds an address. v4-mapped is the same host; the other forms reach it through a
  // translator, which is near enough to deny.
  function covers(network, found, deny) {
    if (network.bits === 128 || found.bits === 32) return within(found, network);
    const { value } = found;
    if (within(found, MAPPED)) return within(fourOf(value), network);
    if (!deny) return false;
    const forms = [];
    if (within(found, SIX_TO_FOUR)) forms.push(fourOf(value, 80));
    if (within(found, TEREDO)) forms.push(...teredo(value));
    if (within(found, NAT64) || within(found, COMPATIBLE)) forms.push(fourOf(value));
    return forms.some((form) => within(form, network));
  }

  // ---- names -----------------------------------------------------------------------------------------------------

  // RFC 3492. Null if `digits` is no encoding of a text.
  function punycode(digits) {
    const cut = digits.lastIndexOf('-'), points = cut < 0 ? [] : [...digits.slice(0, cut)].map((c) => c.codePointAt(0));
    if (cut === 0) return null; // a second spelling of what has no letter before the mark
    let point = 128, index = 0, bias = 72;
    for (let at = cut + 1, first = true; at < digits.length; first = false) {
      const before = index;
      for (let weight = 1, k = 36; ; k += 36) {
        const digit = 'abcdefghijklmnopqrstuvwxyz0123456789'.indexOf(digits[at++] ?? ' ');
        if (digit < 0) return null;
        index += digit * weight;
        const least = Math.min(Math.max(k - bias, 1), 26);
        if (digit < least) break;
        weight *= 36 - least;
        if (weight > 2 ** 40) return null;
      }
      const length = points.length + 1;
      let delta = Math.floor((index - before) / (first ? 700 : 2));
      delta += Math.floor(delta / length);
      for (bias = 0; delta > 455; bias += 36) delta = Math.floor(delta / 35);
      bias += Math.floor((36 * delta) / (delta + 38));
      point += Math.floor(index / length);
      if (point > 0x10ffff) return null;
      points.splice(index % length, 0, point);
      index = (index % length) + 1;
    }
    return String.fromCodePoint(...points);
  }

  // RFC 5891 as far as a platform without its tables can tell: letters, marks and digits, in NFC, no capitals but
  // Cherokee's. What it may miss is a name that nobody can register; that a name has one spelling, it does not miss.
  function isALabel(label) {
    const text = punycode(label.slice(4));
    return text !== null && /[^ -~]/.test(text) && text === text.normalize('NFC')
      && /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}\u00b7\u0375\u05f3\u05f4\u30fb\u200c\u200d-]*$/u.test(text)
      && !/^..--|-$|(?!\p{Script=Cherokee})\p{Lu}/su.test(text);
  }

  // Whether `text` is a host in the one spelling that there is: lower-case labels without a last dot, or an address.
  function isHost(text) {
    if (text.includes(':')) return !text.includes('%') && isAddress(text);
    const labels = text.split('.');
    if (text.length > 253 || !labels.every((label) => /^[a-z0-9_-]{1,63}$/.test(label))) return false;
    if (!labels.every((label) => !label.startsWith('xn--') || isALabel(label))) return false;
    // A name that ends in a number is an address to inet_aton and to browsers, or nothing at all.
    return !/^([0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1)) || isAddress(text);
  }

  // ---- paths -----------------------------------------------------------------------------------------------------

  const MAX_MATCHED_PATH = 8192; // longer paths match no rule
  const MAX_SEGMENTS = 256;

  // The path of a request without query, decoded once, dot segments resolved. Null if two servers may read it
  // differently: an escaped slash, a double escape, `//`, `;`, a fragment, what is not UTF-8, `..` above the root.
  function normalPath(raw) {
    if (raw === undefined || raw.length > MAX_MATCHED_PATH || !raw.startsWith('/')) return null;
    const path = raw.split('?')[0];
    if (/%(?![0-9a-fA-F]{2})|%2f|%5c|%3b|\/\/|[\\;#]/i.test(path)) return null;
    let text;
    try {
      text = decodeURIComponent(path);
    } catch {
      return null;
    }
    if (/%[0-9a-fA-F]{2}|[\0-\x1f\x7f]/.test(text)) return null;
    const parts = text.split('/').slice(1), kept = [];
    if (parts.length > MAX_SEGMENTS) return null;
    for (const part of parts) {
      if (part === '..' && !kept.length) return null;
      if (part === '..') kept.pop();
      else if (part !== '.') kept.push(part);
    }
    if (['.', '..'].includes(parts.at(-1))) kept.push('');
    return `/${kept.join('/')}`;
  }

  // Whether `*` (within a segment) and `**` (across) make `glob` into `path`. Token by token: the places in the path
  // that the tokens so far can have reached.
  function globMatches(glob, path) {
    let places = new Array(path.length + 1).fill(false);
    places[0] = true;
    for (const token of glob.match(/\*+|[^*]+/g) ?? []) {
      const next = new Array(path.length + 1).fill(false);
      for (let at = 0; at <= path.length; at++) {
        if (token[0] === '*') next[at] = places[at] || (at > 0 && next[at - 1] && (token !== '*' || path[at - 1] !== '/'));
        else if (places[at] && path.startsWith(token, at)) next[at + token.length] = true;
      }
      places = next;
    }
    return places[path.length];
  }

  // ---- query parameters and headers ---------------------------------------------------------------------------------

  const MAX_CONDITION_VALUE = 256, MAX_PAIRS = 16; // of one request
  const CUT = '...'; // for the rest of a value, and for what can be read in two ways
  // What stands as it is in the record, and so can be matched.
  const isPlain = (value) => value.length <= MAX_CONDITION_VALUE && /^[ -~]*$/.test(value);

  const lower = (value) => value.toLowerCase();

  // What a query's text may mean, decoded once: a plus is a space or itself. Null if that can not be listed.
  function readingsOf(raw) {
    if (/%(?![0-9a-fA-F]{2})|%2f|%5c|[\\;#]/i.test(raw) || !isPlain(raw)) return null;
    const found = new Set();
    for (const value of [raw, raw.replaceAll('+', ' ')]) {
      let decoded;
      try {
        decoded = decodeURIComponent(value);
      } catch {
        return null;
      }
      if (/%[0-9a-fA-F]{2}|[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff]/.test(decoded)) return null;
      found.add(decoded);
    }
    return [...found];
  }

  // `*` is any characters.
  function valueMatches(glob, value) {
    const [first, ...rest] = glob.split('*');
    if (!rest.length) return glob === value;
    const last = rest.pop();
    if (!value.startsWith(first)) return false;
    let at = first.length;
    for (const piece of rest) {
      const found = value.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return value.endsWith(last) && value.length - last.length >= at;
  }

  // The names that servers take for the same: of a parameter, and of a header.
  const looseName = (name) => lower(name.replace(/^\s+/, '').split('[')[0].replace(/[ .]/g, '_'));
  const headerName = (name) => lower(name).replaceAll('_', '-');

  // Each occurrence: whether its name is spelt so, and what its value may mean (null: anything).
  function parametersOf(pairs, name) {
    const seen = [];
    for (const [raw, value] of pairs ?? []) {
      const named = raw === CUT ? null : readingsOf(raw);
      if (named === null) seen.push({ exact: false, values: null });
      else if (named.some((one) => looseName(one) === looseName(name))) {
        const exact = named.length === 1 && named[0] === name;
        seen.push({ exact, values: value.endsWith(CUT) ? null : readingsOf(value) });
      }
    }
    return seen;
  }

  function fieldsOf(pairs, name) {
    const seen = [];
    for (const [raw, value] of pairs ?? []) {
      if (raw === CUT) seen.push({ exact: false, values: null });
      else if (headerName(raw) === headerName(name)) {
        seen.push({ exact: raw === name, values: value.endsWith(CUT) || !isPlain(value) ? null : [value] });
      }
    }
    return seen;
  }

  // In lower case, and the elements of a list too.
  function elementsOf({ exact, values }) {
    if (values === null) return { exact, values };
    const whole = values.map(lower);
    const parts = whole.flatMap((value) => value.split(',')).map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ''));
    return { exact, values: [...whole, ...parts] };
  }

  // Whether the gate takes these for conditions, of a request with a query of `size` bytes.
  function asAsked(policies, { query = [], headers = [] }, size) {
    if (!query.length && !headers.length) return true;
    const rules = policies.flatMap(({ allow, deny }) => [...allow, ...deny]);
    const named = (kind, spell) => new Set(rules.flatMap((rule) => rule[kind].map(({ name }) => spell(name))));
    const parameters = named('query', looseName), fields = named('headers', headerName);
    const isCut = (pair) => pair.every((one) => one === CUT);
    const fits = (value) => /^[ -~]*$/.test(value)
      && (value.length <= MAX_CONDITION_VALUE || (value.length === MAX_CONDITION_VALUE + CUT.length && value.endsWith(CUT)));
    const heard = ([name, value]) => !/[&=;]/.test(name) && !/[&;]/.test(value) && fits(value)
      && (readingsOf(name) ?? []).some((one) => parameters.has(looseName(one)));
    const sent = ([name, value]) => name === lower(name) && fields.has(headerName(name)) && fits(value)
      && !/^[ \t]|[ \t]$/.test(value);
    const bare = (value) => value.length + (value === '' ? 0 : 1) - (value.endsWith(CUT) ? CUT.length : 0);
    const least = query.reduce((sum, pair) => sum + 1 + (isCut(pair) ? 0 : pair[0].length + bare(pair[1])), -1);
    return least <= size
      && query.every((pair, at) => (isCut(pair) && parameters.size > 0) || (at < MAX_PAIRS && heard(pair)))
      && headers.every((pair, at) => (at < MAX_PAIRS ? sent(pair) : isCut(pair)));
  }

  const meets = (globs, value) => globs.some((glob) => valueMatches(glob, value));

  // For an allow rule: every reading of every occurrence.
  function surelyMet({ globs }, seen) {
    return seen.some(({ exact }) => exact) && seen.every(({ values }) => values !== null && values.every((v) => meets(globs, v)));
  }

  // For a deny rule: some reading of some occurrence.
  const maybeMet = (globs, seen) => seen.some(({ values }) => values === null || values.some((v) => meets(globs, v)));

  // ---- policies: their normal form ---------------------------------------------------------------------------------

  // UTF-8's order, which is not that of UTF-16.
  function byCodePoint(one, other) {
    const [ours, theirs] = [[...one], [...other]];
    for (let at = 0; at < Math.min(ours.length, theirs.length); at++) {
      if (ours[at] !== theirs[at]) return ours[at].codePointAt(0) - theirs[at].codePointAt(0);
    }
    return ours.length - theirs.length;
  }

  // Whether every one of `items` comes after the one before.
  const rises = (items, order) => items.every((item, at) => at === 0 || order(items[at - 1], item) < 0);
  const bySize = (one, other) => one - other;

  const LIMITED = ['upload', 'upload_per_host', 'requests_per_minute', 'names_per_wildcard'];

  // The policies in the bytes of policy.json. Lists are sorted and hold nothing twice, and what is empty is left out.
  function readPolicies(data) {
    const what = 'policy.json', found = parsed(data, what, LONE, jcs);
    const of = (holder, names, optional) => {
      const known = [...holder.keys()].every((name) => names.includes(name) || optional.includes(name));
      need(known && names.every((name) => holder.has(name)), `${what}: a member that is missing or unknown`);
    };
    const sorted = (items, kind, order) => {
      need(Array.isArray(items) && items.every(kind), `${what}: not a list of its kind`);
      need(rises(items, order), `${what}: a list that is not sorted`);
      return items;
    };
    const some = (rule, name, kind, order) => {
      if (!rule.has(name)) return [];
      need(rule.get(name)?.length, `${what}: an empty list that would not be written`);
      return sorted(rule.get(name), kind, order);
    };
    const isPort = (port) => isCount(port) && port > 0 && port < 65536;
    const objects = (items) => sorted(items, isObject, (one, other) => byCodePoint(jcs(one), jcs(other)));

    // By name the globs that its values must meet one of.
    function conditionsOf(rule, name) {
      if (!rule.has(name)) return [];
      const names = rule.get(name);
      need(isObject(names) && names.size, `${what}: ${name} that would not be written`);
      return [...names.keys()].map((key) => {
        const globs = some(names, key, isText, byCodePoint);
        return { name: key, globs, lower: globs.map(lower) };
      });
    }

    function readRule(rule, label, deny) {
      of(rule, [], ['host', 'ip', 'ports', 'methods', 'paths', 'query', 'headers', 'inspect']);
      need(rule.has('host') !== rule.has('ip'), `${what}: a rule of both host and network, or of neither`);
      const given = rule.get('host') ?? '', text = rule.get('ip') ?? '';
      need(isText(given) && isText(text), `${what}: a host or network that is no text`);
      const wildcard = given.startsWith('*.'), host = wildcard ? given.slice(2) : given;
      const network = rule.has('ip') ? readNetwork(text) : null;
      need(network || (rule.has('host') && isHost(host)), `${what}: ${shown(given || text)} is not canonical`);
      const ports = some(rule, 'ports', isPort, bySize);
      need(ports.length || deny, `${what}: an allow rule without ports`);
      const methods = some(rule, 'methods', isText, byCodePoint), paths = some(rule, 'paths', isText, byCodePoint);
      const query = conditionsOf(rule, 'query'), headers = conditionsOf(rule, 'headers'), inspect = rule.get('inspect');
      need(!rule.has('inspect') || isBoolean(inspect), `${what}: inspect is no truth`);
      return { label, host, wildcard, network, ports, methods, paths, query, headers, inspect };
    }

    // Where a value comes from and where it may go, never the value.
    function readSecret(secret) {
      of(secret, ['name', 'source', 'hosts', 'place'], ['methods', 'key']);
      const source = secret.get('source'), hosts = sorted(secret.get('hosts'), isText, byCodePoint);
      const [[kind, where]] = isObject(source) && source.size === 1 ? source : [[]];
      const texts = [secret.get('name'), where, secret.get('place'), secret.get('key') ?? ''].every(isText);
      need(texts && ['env', 'file', 'fd'].includes(kind), `${what}: a secret from nowhere`);
      need(['header', 'bearer', 'basic', 'query', 'sigv4'].includes(secret.get('place')), `${what}: a secret for no place`);
      need(hosts.every((host) => isHost(host.replace(/^\*\./, ''))), `${what}: a host that is not canonical`);
      need(secret.get('key') !== '', `${what}: a member that would not be written`);
      some(secret, 'methods', isText, byCodePoint);
      return { name: secret.get('name'), hosts, signs: secret.get('place') === 'sigv4', text: jcs(secret) };
    }

    function readPolicy(policy, place) {
      of(policy, ['mode', 'allow', 'deny', 'env', 'bind'], ['connections', 'inspect', 'record', 'secrets', 'outputs', 'writable', 'ask', ...LIMITED]);
      need(['enforce', 'observe'].includes(policy.get('mode')), `${what}: an unknown mode`);
      for (const name of ['connections', ...LIMITED]) {
        const limit = policy.get(name);
        need(!policy.has(name) || (isCount(limit) && limit > 0), `${what}: ${name} is no limit`);
      }
      need(!policy.has('record') || policy.get('record') === 'digests', `${what}: an unknown record`);
      for (const name of ['env', 'bind']) sorted(policy.get(name), isText, byCodePoint);
      for (const name of ['outputs', 'writable'].filter((one) => policy.has(one))) {
        need(sorted(policy.get(name), isText, byCodePoint).length > 0, `${what}: an empty ${name}`);
      }
      const rules = (name) => objects(policy.get(name)).map((rule, at) =>
        readRule(rule, `${name}[${at}] of policies[${place}] policy.json`, name === 'deny'));
      need(!policy.has('inspect') || ['all', 'none'].includes(policy.get('inspect')), `${what}: an unknown inspect`);
      need(!policy.has('ask') || policy.get('ask') === true, `${what}: an unknown ask`);
      const mode = { observe: policy.get('mode') === 'observe', inspect: policy.get('inspect') ?? 'auto', ask: policy.has('ask') };
      const limits = Object.fromEntries(LIMITED.map((name) => [`limits.${name}`, policy.get(name)]));
      const secrets = policy.has('secrets') ? objects(policy.get('secrets')).map(readSecret) : [];
      need(secrets.length || !policy.has('secrets'), `${what}: an empty list that would not be written`);
      const outputs = policy.get('outputs') ?? [];
      return { ...mode, limits, digests: policy.has('record'), allow: rules('allow'), deny: rules('deny'), secrets, outputs };
    }

    of(found, ['policies', 'version'], []);
    need(found.get('version') === 1, `${what}: another version`);
    return objects(found.get('policies')).map(readPolicy);
  }

  // Whether it asks for what only a request shows.
  const isNarrow = (rule) => ['methods', 'paths', 'query', 'headers'].some((name) => rule[name].length > 0);

  // Policies as far as name and port go: of a proxy client's target nothing else is known.
  function relaxed(policies) {
    return policies.map((policy) => ({
      ...policy,
      allow: policy.allow.map((rule) => ({ ...rule, methods: [], paths: [], query: [], headers: [] })),
      deny: policy.deny.filter((rule) => !isNarrow(rule)),
    }));
  }

  // ---- deciding ----------------------------------------------------------------------------------------------------

  // The facts of a connection, as its line has them: `address` and `port` by the kernel, `synthetic` by the resolver;
  // the rest is what the client claims. What is not known is undefined.
  //
  // A decision is `allowed`, the `rule` (a label, or a word where no line of a policy decides), the `reason`, the
  // `port` and the `name` or bare `address` that were judged, the `remedy` (YAML that would allow it), and `observed`
  // where only observe mode allows. `rules` are all those by which it is so: which of them its author wrote first, the
  // sorted policies do not say.

  const COMMON_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']; // of a rule that names none
  const METHOD = /^[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}$/, MAX_GLOB = 1024; // what a rule can name
  const SPOKEN = new Map([[443, ['tls']], [80, ['http', 'tls']]]); // at the well-known ports of a host
  // What one policy says; of several, the least counts.
  const DENIED = 0, LACKING = 1, WOULD_DENY = 2, WOULD_LACK = 3, ALLOWED = 4;

  // What is judged: {name, address, port}, or a text that says which claims differ.
  function subjectOf(facts) {
    const { synthetic } = facts, port = facts.target_port ?? facts.port;
    let { target } = facts, base = synthetic === undefined ? facts.address : undefined;
    if (target !== undefined) {
      base = undefined;
      if (synthetic === undefined && isAddress(target)) [base, target] = [target, undefined];
    }
    const claims = [['synthetic name', synthetic], ['target', target], ['sni', facts.sni], ['host', facts.host]];
    const said = claims.filter(([, name]) => name !== undefined);
    const other = said.find(([, name]) => name !== said[0][1]);
    if (other) return `${said[0].join(' ')} and ${other.join(' ')} differ`;
    if (facts.host_port !== undefined && facts.host_port !== port) {
      return `host port ${facts.host_port} and port ${port} differ`;
    }
    if (!said.length) return { address: base, port };
    const [who, name] = said[0];
    if (!isAddress(name)) return { name, address: base, port };
    if (base !== undefined && name !== base) return `address ${base} and ${who} ${name} differ`;
    return { address: name, port };
  }

  function isAbout(rule, { name, address: text }, deny) {
    if (rule.network) return text !== undefined && covers(rule.network, address(text), deny);
    if (name === undefined) return false;
    return rule.wildcard ? name.endsWith(`.${rule.host}`) : name === rule.host;
  }

  function allows(rule, about, facts) {
    if (!rule.ports.includes(about.port) || !isAbout(rule, about, false)) return false;
    const methods = rule.methods.length || facts.method === undefined ? rule.methods : COMMON_METHODS;
    if (methods.length && !methods.includes(facts.method)) return false;
    if (!isNarrow(rule)) return true;
    if (facts.method === undefined) return false;
    const path = rule.paths.length ? normalPath(facts.path) : null;
    if (rule.paths.length && (path === null || !rule.paths.some((glob) => globMatches(glob, path)))) return false;
    return rule.query.every((its) => surelyMet(its, parametersOf(facts.query, its.name)))
      && rule.headers.every((its) => surelyMet(its, fieldsOf(facts.headers, its.name)));
  }

  // What can not be seen, or servers may read differently, can not be shown not to match.
  function denies(rule, about, facts) {
    if (rule.ports.length && !rule.ports.includes(about.port)) return false;
    if (!isAbout(rule, about, true)) return false;
    if (facts.method === undefined) return true;
    if (rule.methods.length && !rule.methods.includes(facts.method)) return false;
    const path = normalPath(facts.path);
    if (rule.paths.length && path !== null && !rule.paths.some((glob) => globMatches(glob, path))) return false;
    return (facts.path === undefined || rule.query.every((its) => maybeMet(its.globs, parametersOf(facts.query, its.name))))
      && rule.headers.every((its) => maybeMet(its.lower, fieldsOf(facts.headers, its.name).map(elementsOf)));
  }

  // A deny rule is held against every name and address of the flow (`whole`), an allow rule against one of them.
  function outcomeOf(policy, facts, whole, about) {
    const hits = policy.deny.filter((rule) => denies(rule, whole, facts));
    if (hits.length) return [policy.observe ? WOULD_DENY : DENIED, hits];
    const fits = policy.allow.filter((rule) => allows(rule, about, facts));
    if (fits.length) return [ALLOWED, fits];
    return [policy.observe ? WOULD_LACK : LACKING, []];
  }

  function lineFor({ name, address: text }) {
    if (name !== undefined) return `- host: ${name}`;
    const found = address(text), judged = within(found, MAPPED) ? fourOf(found.value) : found;
    return `- ip: ${addressText(judged)}/${judged.bits}`;
  }

  function remedyFor(about) {
    const line = lineFor(about);
    return [80, 443].includes(about.port) ? line : `${line}\n  ports: [${about.port}]`;
  }

  // For a request within TLS, which was opened to see it, its method and path alone.
  function remedyOf(about, facts) {
    const line = remedyFor(about), { method } = facts;
    if (facts.protocol !== 'https' || method === undefined) return line;
    if (!METHOD.test(method) || method === 'CONNECT') return undefined;
    const certain = /^[A-Z]{3,32}$/.test(method) && !['YES', 'OFF', 'TRUE', 'FALSE', 'NULL'].includes(method);
    const lines = `${line}\n  methods: [${certain ? method : `"${method}"`}]`, path = normalPath(facts.path);
    if (path === null || path.includes('*') || [...path].length > MAX_GLOB || normalPath(path) !== path) return lines;
    return `${lines}\n  paths: ["${[...path].map(quoted).join('')}"]`;
  }

  // What stands between double quotes in YAML, in printable ASCII.
  function quoted(character) {
    if (character === '"' || character === '\\') return `\\${character}`;
    if (character >= ' ' && character <= '~') return character;
    const code = character.codePointAt(0), digits = code.toString(16);
    return code <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
  }

  // By the name or by the bare address that `about` has; `whole` has both.
  function judged(policies, facts, whole, about) {
    const inside = facts.protocol === 'https' && facts.method !== undefined;
    const request = inside ? `this ${facts.method} request to ` : '';
    const what = `${request}${about.name || about.address} port ${about.port}`;
    const made = { ...about, allowed: false, observed: false };
    if (!policies.length) {
      return { ...made, rule: 'default', reason: `no policy allows ${what}`, remedy: remedyOf(about, facts) };
    }
    const found = policies.map((policy) => outcomeOf(policy, facts, whole, about));
    const rank = Math.min(...found.map(([its]) => its)), rules = found.flatMap(([its, by]) => (its === rank ? by : []));
    const [rule] = rules;
    const remedy = rule ? undefined : remedyOf(about, facts);
    const observed = [WOULD_DENY, WOULD_LACK].includes(rank);
    const where = observed && about.address !== undefined ? internal(address(about.address)) : '';
    if (where) {
      const reason = `${about.address} is internal (${where}) and no ip rule allows it`;
      return { ...made, rule: 'internal-address', reason, remedy };
    }
    let reason = `${what} is allowed`;
    if (rank !== ALLOWED) reason = rule ? `${what} is denied by ${rule.label}` : `no rule allows ${what}`;
    const allowed = observed || rank === ALLOWED;
    return { ...made, allowed, rule: rule?.label ?? 'default', rules, reason, remedy, observed };
  }

  // Denied where the bytes are not what the port of a named host speaks. A silent client sent none yet.
  function ofItsPort(policies, facts, decision) {
    const wanted = SPOKEN.get(decision.port) ?? [];
    if (!wanted.length || [...wanted, 'server-first', 'https'].includes(facts.protocol)) return decision;
    if (!decision.allowed && decision.remedy === undefined) return decision;
    const observed = policies.length > 0 && policies.every((policy) => policy.observe);
    const words = wanted.map((protocol) => protocol.toUpperCase()).join(' or ');
    const reason = `port ${decision.port} of a host is for ${words}, and these bytes are not`;
    return { ...decision, allowed: observed, rule: 'protocol', reason, remedy: undefined, observed };
  }

  // Says so where it is the method alone that no rule names.
  function ofItsMethod(policies, facts, decision) {
    const { method } = facts;
    if (decision.rule !== 'default' || method === undefined || COMMON_METHODS.includes(method)) return decision;
    if (!decide(policies, { ...facts, method: 'GET' }).allowed) return decision;
    const remedy = `${lineFor(decision)}\n  ports: [${decision.port}]\n  methods: [${method}]`;
    return { ...decision, rule: 'method', reason: `a rule must name the method ${method} to allow it`, remedy };
  }

  // The verdict of all policies together: every one must allow.
  function decide(policies, facts) {
    const port = facts.target_port ?? facts.port, denied = { allowed: false, port, observed: false };
    if (facts.fault !== undefined) return { ...denied, rule: 'fault', reason: facts.fault };
    const whole = subjectOf(facts);
    if (isText(whole)) return { ...denied, rule: 'mismatch', reason: whole };
    // A bare address is judged as itself first, then by the name it claims.
    const ways = [];
    if (whole.address !== undefined) {
      ways.push(judged(policies, facts, whole, { address: whole.address, port: whole.port }));
    }
    if (whole.name !== undefined) {
      const byName = judged(policies, facts, whole, { name: whole.name, port: whole.port });
      ways.push(ofItsPort(policies, facts, byName));
    }
    const plain = ways.find((way) => way.allowed && !way.observed);
    const best = plain ?? ways.findLast((way) => way.allowed) ?? ways.at(-1);
    return ofItsMethod(policies, facts, best);
  }

  // On name and port alone, whatever will be spoken there; of `relaxed` policies.
  const preliminary = (loose, facts) => decide(loose, { ...facts, protocol: 'server-first' });

  // Whether one policy needs to see what is inside this TLS connection. A rule with `inspect: false` speaks against
  // `inspect: all` and what other allow rules need.
  function needsToSee(policy, about) {
    const allow = policy.allow.filter((rule) => rule.ports.includes(about.port) && isAbout(rule, about, false));
    const closed = allow.some((rule) => rule.inspect === false);
    if (!closed && (policy.inspect === 'all' || allow.some((rule) => isNarrow(rule) || rule.inspect))) return true;
    const covered = (host) => (host.startsWith('*.') ? about.name.endsWith(host.slice(1)) : about.name === host);
    if (policy.secrets.some((secret) => secret.hosts.some(covered))) return true;
    return policy.deny.some((rule) =>
      (!rule.ports.length || rule.ports.includes(about.port)) && isAbout(rule, about, false) && isNarrow(rule));
  }

  function opens(policies, facts) {
    const about = subjectOf(facts);
    if (facts.protocol !== 'tls' || facts.fault !== undefined || isText(about) || about.name === undefined) return false;
    return policies.some((policy) => needsToSee(policy, about));
  }

  const ASK = 'ask'; // the rule of what a person at the run's terminal answered
  // What a person can answer, and how a decision says so.
  const ANSWERS = {
    once: 'a person allowed it once', run: 'a person allowed it for this run', policy: 'a person added it to the policy',
    deny: 'a person denied it', unanswered: 'nobody answered',
  };
  const ALLOWING = ['once', 'run', 'policy'], MAX_QUESTIONS = 100;

  // An answer for once is one connection's.
  const answerText = (connection, host, port, answer) => jcs([answer === 'once' ? connection : 0, host, port, answer]);

  // Whether a person may be asked instead: about what no policy names, would look into, or finds to be internal.
  function askable(policies, facts, decision) {
    if (!policies.length || !policies.every((policy) => policy.ask)) return false;
    if (decision.allowed || decision.rule !== 'default' || !decision.port || facts.protocol === 'https') return false;
    if (facts.method !== undefined && !COMMON_METHODS.includes(facts.method)) return false;
    if (decision.address !== undefined && internal(address(decision.address))) return false;
    if (opens(policies, { ...facts, protocol: 'tls' })) return false;
    return policies.every((policy) => {
      const named = policy.allow.some((rule) => rule.ports.includes(decision.port) && isAbout(rule, decision, false));
      return !named || decide([{ ...policy, observe: false }], facts).allowed;
    });
  }

  // On name and port, as what is asked inside is judged by itself.
  function openedBy(policies, loose, facts) {
    const found = preliminary(loose, facts);
    return found.allowed ? { ...found, opened: true } : decide(policies, facts);
  }

  // Which of the addresses of a name may be dialled, and where none may, why and by which rules. One internal address
  // that no ip rule of every policy allows refuses the whole answer.
  function admitted(policies, decision, addresses) {
    if (!decision.allowed) return [[], decision.reason, []];
    const { port } = decision;
    const allowedInside = (found) => policies.length > 0 && policies.every((policy) => policy.allow.some((rule) =>
      rule.network && rule.ports.includes(port) && covers(rule.network, found, false)));
    for (const text of addresses) {
      const found = address(text), where = internal(found);
      if (where && !allowedInside(found)) {
        return [[], `${text} is internal (${where}) and no ip rule allows it on port ${port}`, []];
      }
    }
    const good = [];
    let reason = 'the name has no address', rules = [];
    for (const text of addresses) {
      const by = barring(policies, text, port);
      if (by.length) [reason, rules] = [`${text} is denied by ${by[0].label}`, by];
      else good.push(text);
    }
    return good.length ? [good, '', []] : [[], reason, rules];
  }

  // The rules by which an address of a name is not dialled, whatever is asked there.
  function barring(policies, text, port) {
    const rules = policies.filter((policy) => !policy.observe).flatMap((policy) => policy.deny);
    return rules.filter((rule) => rule.network && denies(rule, { address: text, port }, {}));
  }

  // The decision that denies a name for what its addresses are; null if there is one to dial.
  function answered(policies, decision, addresses) {
    const [good, reason, rules] = admitted(policies, decision, addresses);
    if (good.length) return null;
    const { remedy } = decide(policies, { protocol: 'opaque', address: addresses[0], port: decision.port });
    return { ...decision, allowed: false, rule: 'internal-address', rules, reason, remedy, observed: false, opened: undefined };
  }

  // ---- the receipts of connections, made again ---------------------------------------------------------------------

  const MAX_PORT = 65535;
  const MIN_STATUS = 200, MAX_STATUS = 999; // what the gate takes for a response
  const SWITCHED = 101; // the status of a WebSocket, whose frames are counted
  const MAX_LABELS = 65536; // rules that decided something
  const MAX_SHOWN = 2048; // characters of one client-made value in the record
  const MAX_SHOWN_PATH = 8192; // of a path, which the policy matches up to this length
  const MAX_ADDRESSES = 16; // of one name
  const MAX_QUERY_BYTES = 65536; // the gate reads no longer head of a request
  const PROTOCOLS = ['tls', 'http', 'https', 'opaque', 'server-first'], WAYS = ['direct', 'connect', 'absolute-form', 'socks'];
  const CLAIMS = ['synthetic', 'target', 'sni', 'host', 'method', 'fault', 'answer'], CLAIMED_PORTS = ['target_port', 'host_port'];
  const CONDITIONED = ['query', 'headers']; // pairs that conditions look at
  const FLOW = ['kind', 'connection', 'client_port', 'address', 'port', 'protocol', 'via', 'url', 'rule', 'reason'];
  const FLOW_OPTIONAL = [...CLAIMS, ...CLAIMED_PORTS, ...CONDITIONED, 'path', 'query_bytes', 'remedy', 'observed', 'opened', 'ech', 'asked',
    'addresses', 'process', 'counted'];
  const FLOW_FIRST = ['ech', 'asked', 'process']; // of an intent, a denial or a warning alone
  const FLOW_END = ['outcome', 'bytes_up', 'bytes_down', 'duration_ms', 'kernel_up', 'kernel_down', 'peer', 'status',
    'addresses', 'address_count', 'frames_up', 'frames_down', 'counted_up', 'sha256_up', 'content_up', 'sha256_down',
    'content_down']; // of an outcome
  const SAID = ['action_type', 'target', 'transport', 'method', 'verdict', 'layer', 'pattern', 'severity'];
  const SAID_TWICE = SAID.slice(0, 4); // the same in an intent and its outcome
  // Rules that no line of a policy stands for. A label is `allow[i] where` or `deny[i] where`.
  const KINDS_OF_RULES = ['allow', 'deny', 'default', 'mismatch', 'fault', 'internal-address', 'protocol', 'method', ASK];

  const CERTIFICATE = 'certificate'; // the rule of a denial because of what the server could not prove
  const SECRET = 'secret'; // and because of a secret where it does not belong
  const SIGNATURE = 'signature'; // and because it can not be signed anew
  const LAYERS = { 'internal-address': 'ssrf', deny: 'blocklist', default: 'allowlist', [SECRET]: 'dlp' };

  function count(value, what) {
    need(isCount(value), `${what} is no count`);
    return value;
  }

  function ranged(value, least, most, what) {
    need(count(value, what) >= least && value <= most, `${what} is not in ${least}..${most}`);
    return value;
  }

  function text(value, what) {
    need(isText(value), `${what} is no text`);
    return value;
  }

  // Facts are printable ASCII but for line feeds.
  function printable(value) {
    const escapes = value.slice(0, MAX_SHOWN).replaceAll('\n', '\\x0a');
    return value.length <= MAX_SHOWN && escapes.length <= MAX_SHOWN ? escapes : `${escapes.slice(0, MAX_SHOWN)}...`;
  }

  // The facts that a line of a connection states.
  function factsOf(flow, what) {
    const facts = { protocol: flow.get('protocol'), via: flow.get('via') };
    need(PROTOCOLS.includes(facts.protocol) && WAYS.includes(facts.via), `${what}: an unknown protocol or way`);
    for (const name of ['address', ...CLAIMS]) {
      if (flow.has(name)) facts[name] = text(flow.get(name), `${what}: ${name}`);
    }
    need(isAddress(facts.address) && !facts.address.includes('%'), `${what}: ${shown(facts.address)} is no address`);
    facts.port = ranged(flow.get('port'), 0, MAX_PORT, `${what}: port`); // a program may ask for port 0
    for (const name of CLAIMED_PORTS) {
      if (flow.has(name)) facts[name] = ranged(flow.get(name), 1, MAX_PORT, `${what}: ${name}`);
    }
    for (const name of CONDITIONED.filter((one) => flow.has(one))) {
      const pairs = flow.get(name), most = MAX_CONDITION_VALUE + CUT.length;
      need(flow.has('path') && Array.isArray(pairs) && pairs.length > 0 && pairs.length <= MAX_PAIRS + 1, `${what}: ${name}`);
      need(pairs.every((pair) => isTexts(pair) && pair.length === 2), `${what}: ${name} that are no pairs`);
      need(pairs.flat().every((one) => one.length <= most), `${what}: ${name} that were not cut`);
      facts[name] = pairs;
    }
    if (!flow.has('path')) return facts;
    facts.path = text(flow.get('path'), `${what}: path`);
    if (flow.has('query_bytes')) {
      const size = count(flow.get('query_bytes'), `${what}: query_bytes`);
      need(size <= MAX_QUERY_BYTES, `${what}: query_bytes`);
      facts.path += `?${'-'.repeat(size)}`; // its text was not kept, its length may make the path too long to match
    }
    return facts;
  }

  function addressesOf(flow, what) {
    const found = flow.get('addresses') ?? [];
    need(isTexts(found) && (found.length || !flow.has('addresses')), `${what}: addresses is no list of texts`);
    need(found.length <= MAX_ADDRESSES && found.every(isAddress), `${what}: addresses that are none`);
    return found;
  }

  // The destination like a URL, without the query.
  function targetOf(facts, decision) {
    const host = decision.name || decision.address || facts.synthetic || facts.target || facts.address;
    const where = host.includes(':') ? `[${host}]` : host;
    const usual = { http: 80, https: 443 }[facts.protocol];
    if (usual && facts.method !== undefined) {
      const path = printable((facts.path ?? '').split('?')[0]) || '/', port = decision.port === usual ? '' : `:${decision.port}`;
      return `${facts.protocol}://${where}${port}${path[0] === '/' ? path : `/${path}`}`;
    }
    return `${['tls', 'http', 'https'].includes(facts.protocol) ? facts.protocol : 'tcp'}://${where}:${decision.port}`;
  }

  // What the gate writes of `facts` and its decision: the members of the line, and those of the receipt.
  function madeAgain(flow, facts, decision, verdict, addresses) {
    const [path, ...query] = (facts.path ?? '').split('?'), url = targetOf(facts, decision);
    const plain = /^[ -~]*$/.test(path) ? path : printable(path);
    const members = {
      kind: 'connection', connection: flow.get('connection'), client_port: flow.get('client_port'), ...facts, url,
      rule: printable(decision.rule), reason: printable(decision.reason), remedy: decision.remedy,
      path: plain.length > MAX_SHOWN_PATH ? `${plain.slice(0, MAX_SHOWN_PATH)}...` : plain,
      query_bytes: query.length ? query.join('?').length : undefined,
      fault: facts.fault === undefined ? undefined : printable(facts.fault),
      observed: decision.observed || undefined, opened: decision.opened || undefined, counted: decision.counted,
    };
    if (facts.path === undefined) delete members.path;
    if (verdict !== 'warn') {
      for (const name of ['ech', 'asked']) if (flow.get(name) === true) members[name] = true;
      if (addresses.length) members.addresses = addresses;
    }
    let type = 'unclassified';
    if (['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(facts.method)) type = 'read';
    else if (['POST', 'PUT', 'PATCH', 'DELETE'].includes(facts.method)) type = 'write';
    const said = {
      action_type: type, target: url, transport: ['connect', 'socks'].includes(facts.via) ? 'connect' : 'forward',
      method: facts.method, verdict, decision_phase: verdict === 'allow' ? 'intent' : undefined,
    };
    if (verdict !== 'allow') {
      const word = decision.rule.split(/[[ ]/)[0];
      said.layer = LAYERS[word] ?? (word || 'policy');
      if (verdict === 'block' && decision.rule === SECRET) said.severity = 'high';
      said.pattern = printable(decision.rule);
    }
    return [members, said];
  }

  // Nothing, if a line has just the `members`, and its receipt says just what is `said`; undefined is absent.
  function compared(record, flow, members, said, what) {
    const wanted = made(members);
    for (const [name, value] of wanted) if (value === undefined) wanted.delete(name);
    for (const name of new Set([...wanted.keys(), ...flow.keys()])) {
      const same = wanted.has(name) && flow.has(name) && jcs(wanted.get(name)) === jcs(flow.get(name));
      need(same || name === 'process', `${what}: ${name} of its facts is not what the policies and facts give`);
    }
    for (const name of [...SAID, 'decision_phase']) {
      need(record.get(name) === said[name], `${what}: ${name} is not what the policies and facts give`);
    }
  }

  // How an allowed flow ended, as the words of its receipt have it.
  function endOf(flow, what) {
    const end = { addresses: addressesOf(flow, what), idle: true };
    for (const name of ['bytes_up', 'bytes_down', 'duration_ms']) count(flow.get(name), `${what}: ${name}`);
    if (flow.has('kernel_up') || flow.has('kernel_down')) {
      for (const name of ['kernel_up', 'kernel_down']) count(flow.get(name), `${what}: ${name}`);
      need(flow.get('protocol') !== 'https', `${what}: the kernel does not see into TLS`);
    }
    end.counted = flow.has('counted_up') ? count(flow.get('counted_up'), `${what}: counted_up`) : undefined;
    end.digests = ['sha256_up', 'content_up', 'sha256_down', 'content_down'].some((name) => flow.has(name));
    for (const way of end.digests ? ['up', 'down'] : []) {
      const size = count(flow.get(`content_${way}`), `${what}: content_${way}`);
      const digest = text(flow.get(`sha256_${way}`), `${what}: sha256_${way}`);
      need(/^[0-9a-f]{64}$/.test(digest), `${what}: sha256_${way} is no digest`);
      need((digest === NOTHING) === !size, `${what}: sha256_${way} is not of that many bytes`);
    }
    const frames = flow.has('frames_up') || flow.has('frames_down');
    if (frames) {
      for (const name of ['frames_up', 'frames_down']) count(flow.get(name), `${what}: ${name}`);
      const switched = flow.get('status') === SWITCHED && flow.get('method') === 'GET';
      need(switched, `${what}: frames of what is no WebSocket`);
    }
    if (flow.has('status')) {
      ranged(flow.get('status'), frames ? SWITCHED : MIN_STATUS, MAX_STATUS, `${what}: status`);
      need(['http', 'https'].includes(flow.get('protocol')), `${what}: a status of what is no HTTP`);
    }
    end.peer = flow.has('peer') ? text(flow.get('peer'), `${what}: peer`) : undefined;
    need(end.peer === undefined || end.addresses.includes(end.peer), `${what}: connected to what the name has not`);
    if (flow.has('address_count')) {
      need(count(flow.get('address_count'), `${what}: address_count`) > end.addresses.length, `${what}: address_count`);
    }
    const reason = end.reason = text(flow.get('outcome'), `${what}: outcome`);
    need(printable(reason) === reason, `${what}: outcome`);
    const bytes = BigInt(flow.get('bytes_up')) + BigInt(flow.get('bytes_down'));
    const status = flow.has('status') ? `status=${flow.get('status')} ` : '';
    end.pattern = `${status}bytes=${bytes} reason=${reason.split(' ').filter(Boolean).join('-')}`;
    end.idle = !['bytes_up', 'bytes_down', 'kernel_up', 'kernel_down'].some((name) => flow.get(name)) && !status;
    return end;
  }

  // ---- limits, counted again -----------------------------------------------------------------------------------------

  const NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'; // SHA-256 of no bytes
  const MINUTE_MS = 60000;
  const UPLOAD = 'limits.upload', PER_HOST = 'limits.upload_per_host';
  const REQUESTS = 'limits.requests_per_minute', NAMES = 'limits.names_per_wildcard';
  const TOO_MANY = {
    [UPLOAD]: 'bytes would go up in this run',
    [PER_HOST]: 'bytes would go up to this host in this run',
    [REQUESTS]: 'requests would be made within a minute',
    [NAMES]: 'names below one wildcard rule would be asked for in this run',
  };
  // What a denial in the middle of a flow has in common with the flow's outcome.
  const CUT_SHORT = ['connection', 'client_port', 'address', 'port', 'protocol', 'via', 'url', 'synthetic', 'target',
    'target_port', 'sni', 'host', 'host_port', 'method', 'path', 'query_bytes', ...CONDITIONED];
  const isRequest = (protocol) => protocol === 'http' || protocol === 'https';

  // Of several policies every limit holds. What was begun counts when it is, what went up when it has ended.
  class Limits {
    hosts = new Map(); // bytes up, by name or bare address
    sent = 0; // bytes up, over all hosts
    below = new Map(); // names, by wildcard
    moments = []; // of the last requests, as many as a minute may have; a ring, with the first of them at `oldest`
    oldest = 0;
    cut = new Map(); // denials in the middle of a flow whose outcome is to come

    constructor(policies) {
      this.limits = {};
      for (const rule of Object.keys(TOO_MANY)) {
        const given = policies.map((policy) => policy.limits[rule]).filter((limit) => limit !== undefined);
        if (given.length) this.limits[rule] = given.reduce((one, other) => (other < one ? other : one));
      }
      this.countsBytes = UPLOAD in this.limits || PER_HOST in this.limits;
      this.digests = policies.some((policy) => policy.digests);
      this.rules = policies.map(({ allow }) => allow.filter((rule) => rule.host));
    }

    reason(rule) {
      return `more than ${this.limits[rule]} ${TOO_MANY[rule]}`;
    }

    // The wildcards below which a name is, but for those of a policy that has the name itself.
    wildcards(name) {
      if (name === undefined) return [];
      return this.rules.flatMap((rules) => (rules.some((rule) => !rule.wildcard && rule.host === name) ? []
        : rules.filter((rule) => rule.wildcard && name.endsWith(`.${rule.host}`)).map((rule) => rule.host)));
    }

    // How many names there would be below a wildcard that has as many as it may; 0: none has.
    names(name) {
      const limit = this.limits[NAMES];
      const full = (known) => known && known.size >= limit && !known.has(name);
      const found = limit === undefined ? [] : this.wildcards(name).map((one) => this.below.get(one)).filter(full);
      return found.length ? found[0].size + 1 : 0;
    }

    begun(decision, protocol, action, what) {
      need(!this.names(decision.name), `${what}: let through over ${NAMES}`);
      const limit = this.limits[REQUESTS], moment = Number.parseInt(`${action.slice(0, 8)}${action.slice(9, 13)}`, 16);
      if (limit !== undefined && isRequest(protocol)) {
        const over = this.moments.length === limit && moment - this.moments[this.oldest] < MINUTE_MS;
        need(!over, `${what}: let through over ${REQUESTS}`);
        if (this.moments.length < limit) this.moments.push(moment);
        else {
          this.moments[this.oldest] = moment;
          this.oldest = (this.oldest + 1) % limit;
        }
      }
      if (this.limits[NAMES] === undefined) return;
      for (const one of this.wildcards(decision.name)) {
        this.below.set(one, (this.below.get(one) ?? new Set()).add(decision.name));
      }
    }

    // The denial of what is allowed, because of a limit.
    denied(decision, flow, what) {
      const rule = text(flow.get('rule'), `${what}: rule`), counted = count(flow.get('counted'), `${what}: counted`);
      const limit = Object.hasOwn(this.limits, rule) ? this.limits[rule] : undefined;
      let reached = limit !== undefined && counted > limit;
      if (rule === NAMES) reached &&= counted === this.names(decision.name);
      // In which minute is said to the millisecond, and the denial came a little later.
      if (rule === REQUESTS) reached &&= this.moments.length === limit && counted === limit + 1;
      need(reached, `${what}: ${shown(rule)} is not reached, or none of the policies'`);
      const reason = this.reason(rule);
      if (rule === UPLOAD || rule === PER_HOST) this.hold(flow, `refused: ${reason}`);
      return { ...decision, allowed: false, rule, reason, counted, remedy: undefined, observed: false, opened: undefined };
    }

    // The outcome of the flow with these facts must say `said`.
    hold(flow, said) {
      const key = this.key(flow, said);
      this.cut.set(key, (this.cut.get(key) ?? 0) + 1);
    }

    key(flow, said) {
      return jcs([...CUT_SHORT.map((name) => flow.get(name) ?? null), said]);
    }

    ended(decision, flow, end, what) {
      const request = isRequest(flow.get('protocol'));
      need((end.counted !== undefined) === (request && this.countsBytes), `${what}: counted_up`);
      need(end.digests === (request && this.digests), `${what}: contents`);
      const passed = end.digests ? flow.get('content_up') : 0;
      need(end.counted === undefined || end.counted >= passed, `${what}: counted_up without its content`);
      if (!decision.opened && this.countsBytes) {
        const size = end.counted ?? flow.get('bytes_up'), host = decision.name ?? decision.address ?? '';
        this.sent += size;
        need(!(this.sent > this.limits[UPLOAD]), `${what}: went up over ${UPLOAD}`);
        const whole = (this.hosts.get(host) ?? 0) + size;
        need(!(whole > this.limits[PER_HOST]), `${what}: went up over ${PER_HOST}`);
        this.hosts.set(host, whole);
      }
      const own = [UPLOAD, PER_HOST].filter((rule) => rule in this.limits).map((rule) => `refused: ${this.reason(rule)}`);
      if (!own.includes(end.reason) && !(end.reason.startsWith('refused: ') && inTheMiddle(end.reason.slice(9)))) return;
      const key = this.key(flow, end.reason), left = this.cut.get(key) ?? 0;
      need(left, `${what}: cut in the middle without its denial`);
      if (left > 1) this.cut.set(key, left - 1);
      else this.cut.delete(key);
    }
  }

  const kindOfRule = (label) => {
    const [word] = label.split(/[[ ]/);
    return KINDS_OF_RULES.includes(word) ? word : label;
  };

  // Which name has which of the resolver's addresses: one each, for the whole run.
  class Bound {
    known = new Map(); // both ways: no name is an address

    hold(name, text, what) {
      const four = fourBytes(text), place = four === null ? -1n : four - FIRST_BOUND;
      need(place >= 0n && place < MAX_BOUND, `${what}: an address that the resolver gives to no name`);
      need(!isAddress(name), `${what}: an address in place of a name`);
      for (const [one, other] of [[name, text], [text, name]]) {
        need((this.known.get(one) ?? other) === other, `${what}: ${shown(one)} was said to be ${shown(this.known.get(one))}`);
        this.known.set(one, other);
      }
    }
  }

  const FIRST_BOUND = 0xc6120001n, MAX_BOUND = 131070n; // 198.18.0.1 on, without the broadcast of 198.18.0.0/15
  // The name of a rule is its place in its author's file, which the packet does not hold.
  const LABEL = /^(allow|deny)\[(?:0|[1-9][0-9]{0,6})\] ./;
  const BY = ' is denied by ';
  // What a denial after a look-up says of its own decision, and not of the connection that its intent began.
  const JUDGED = ['rule', 'reason', 'remedy', 'observed', 'opened'];

  const SHARED = ['address', 'port', 'via', 'synthetic', 'target', 'target_port', 'sni'];

  const LEAKED =
    /^the (placeholder|value) of ([!-~]{1,128}) \([a-z0-9]{1,16}\) is in the (name|method|path|host|headers|head|content|response), where it does not belong$/;
  const HIDDEN_METHOD = 'REDACTED'; // of a request with a secret for its method
  const HIDDEN_NAME = 'redacted.invalid', NAMING = ['target', 'sni', 'host']; // a name with a secret, and where one can be
  const ofAName = (reason) => LEAKED.exec(reason)?.[3] === 'name';
  // Of a question: which secret is in its name.
  const LEAKED_NAME = /^the (placeholder|value) of ([!-~]{1,128}) \([a-z0-9]{1,16}\)$/;
  const UNSIGNED = new Set([
    'its Authorization is not one AWS4-HMAC-SHA256 signature in its usual form',
    'its x-amz-date is not one time on the day that its signature names',
    'it signs a header that is not sent on as it came',
    'its query has what the query of a signed URL has, and its signature would make one for anybody',
    'its chunks are signed one by one, so have the client sign the whole content or none of it',
    'its content is signed, and more than is read before it is sent (in HTTP/2, none is), so have the client say the digest in x-amz-content-sha256',
    "its AWS signature is not the placeholder's, or not of what is sent",
    'its host, method or connection is none that the secret is for',
  ]);
  // Places that are looked into while a flow is under way: its outcome says so then.
  const inTheMiddle = (reason) => ['content', 'response'].includes(LEAKED.exec(reason)?.[3]);

  // Every connection decided again, in the record's order.
  class Decisions {
    open = new Map(); // what was begun and has no outcome yet, by action
    warned = new Set(); // warnings whose intent comes next
    refused = new Map(); // denials after a look-up whose outcome is to come, by connection and client's port
    labels = new Map(); // by name the rules it may stand for: those that decided each time it was given
    bound = new Bound();
    changes = 0; // receipts of changes to the boundary
    answers = new Map(); // what persons are said to have answered, and the first receipt that says so
    inside = new Map(); // opened connections that have not ended, and what was known of each from outside

    constructor(policies) {
      this.policies = policies;
      this.loose = relaxed(policies);
      this.limits = new Limits(policies);
    }

    get asks() {
      return this.policies.some((policy) => policy.ask);
    }

    // Those that every policy has.
    get secrets() {
      const [first, ...others] = this.policies.map((policy) => policy.secrets);
      return (first ?? []).filter((secret) => others.every((all) => all.some((one) => one.text === secret.text)));
    }

    add(record, flow, what) {
      const begun = jcs(this.common(flow, [])), action = record.get('action_id'), phase = record.get('decision_phase');
      count(flow.get('connection'), `${what}: connection`);
      ranged(flow.get('client_port'), 1, MAX_PORT, `${what}: client_port`);
      if (phase === 'outcome') {
        const intent = this.open.get(action);
        this.open.delete(action);
        this.ended(record, flow, intent, begun, what);
        return;
      }
      const decision = this.decided(record, flow, what);
      if (flow.get('protocol') === 'https') {
        const outside = this.inside.get(this.client(flow));
        need(outside === this.outside(flow), `${what}: a request within TLS that was not opened`);
      }
      if (record.get('verdict') === 'warn') this.warned.add(begun);
      else if (flow.has('observed')) {
        need(this.warned.delete(begun), `${what}: let through by observe mode without its warning`);
      }
      if (phase === 'intent') {
        this.limits.begun(decision, flow.get('protocol'), action, what);
        this.open.set(action, { begun, record, decision });
        if (decision.opened) this.inside.set(this.client(flow), this.outside(flow));
      } else if (flow.has('addresses')) {
        const fresh = !this.refused.has(this.client(flow)) && this.refused.size < this.open.size;
        need(fresh, `${what}: a look-up that nothing was begun for`);
        this.refused.set(this.client(flow), { facts: this.lookedUp(flow), reason: flow.get('reason') });
      }
    }

    // What is the same in an intent and its outcome.
    common(flow, without) {
      const apart = [...FLOW_END, ...FLOW_FIRST, ...without];
      return new Map([...flow].filter(([name]) => !apart.includes(name)));
    }

    client(flow) {
      return `${flow.get('connection')} ${flow.get('client_port')}`;
    }

    // What requests within TLS share with the connection that they came in.
    outside(flow) {
      return jcs(SHARED.map((name) => flow.get(name) ?? null));
    }

    lookedUp(flow) {
      return jcs(this.common(flow, JUDGED).set('addresses', flow.get('addresses')));
    }

    decided(record, flow, what) {
      const known = [...flow.keys()].every((name) => FLOW.includes(name) || FLOW_OPTIONAL.includes(name));
      need(known && FLOW.every((name) => flow.has(name)), `${what}: members that no connection has`);
      const facts = factsOf(flow, what), verdict = record.get('verdict'), addresses = addressesOf(flow, what);
      const asked = flow.has('asked');
      need(!asked || verdict === 'block', `${what}: more than its target was known`);
      need(!flow.has('opened') || verdict !== 'block', `${what}: opened, and denied`);
      const query = flow.get('query_bytes') ?? 0;
      need(asAsked(this.policies, facts, query), `${what}: query or headers that no condition is about`);
      const decision = this.answeredTo(facts, asked, flow, what);
      let receipt = decision;
      if (flow.get('rule') === SECRET && verdict === 'block') {
        need((!asked || ofAName(flow.get('reason'))) && !addresses.length, `${what}: a secret in no request`);
        receipt = this.leaked(decision, flow, what);
      } else if (flow.get('rule') === SIGNATURE && verdict === 'block') {
        need(!asked && !addresses.length, `${what}: a signature in no request`);
        receipt = this.unsigned(decision, flow, what);
      } else if (addresses.length) {
        need(verdict === 'block', `${what}: addresses before a look-up`);
        need(decision.allowed, `${what}: looked up what is denied`);
        receipt = answered(this.policies, decision, addresses) ?? this.unproven(decision, addresses, flow, what);
      } else if (flow.has('counted')) {
        need(decision.allowed, `${what}: counted what is denied`);
        receipt = this.limits.denied(decision, flow, what);
      }
      const gives = receipt.allowed ? 'allow' : 'block';
      need(receipt.allowed === (verdict !== 'block'), `${what}: the receipt says ${verdict}, the policies give ${gives}`);
      need(verdict !== 'warn' || receipt.observed, `${what}: a warning of what is allowed`);
      if (facts.synthetic !== undefined) this.bound.hold(facts.synthetic, facts.address, what);
      const [members, said] = madeAgain(flow, facts, this.worded(receipt, flow, what), verdict, addresses);
      compared(record, flow, members, said, what);
      return receipt;
    }

    full(facts) {
      const { policies, loose } = this;
      return opens(policies, facts) ? openedBy(policies, loose, facts) : decide(policies, facts);
    }

    // What the policies give, or a person's answer makes of it.
    answeredTo(facts, asked, flow, what) {
      const seen = asked ? { ...facts, protocol: 'server-first' } : facts;
      const decision = asked ? preliminary(this.loose, facts) : this.full(facts);
      const { answer } = facts;
      if (answer === undefined) return decision;
      need(Object.hasOwn(ANSWERS, answer), `${what}: an answer that nobody can give`);
      need(askable(asked ? this.loose : this.policies, seen, decision), `${what}: an answer where nobody is asked`);
      const host = decision.name ?? decision.address, { port } = decision;
      const used = answerText(flow.get('connection'), host, port, answer);
      need(this.answers.has(used) || this.answers.size < MAX_QUESTIONS, `${what}: too many answers`);
      if (!this.answers.has(used)) this.answers.set(used, what);
      const allowed = ALLOWING.includes(answer), reason = `no rule allows ${host} port ${port}; ${ANSWERS[answer]}`;
      return { ...decision, allowed, rule: ASK, reason, remedy: allowed ? undefined : decision.remedy };
    }

    // Nothing, if the supervisor, which asked, has every answer on its list.
    heard(close) {
      if (!this.asks) return;
      const given = new Set(close.get('answers').map((entry) =>
        answerText(entry.get('connection'), entry.get('host'), entry.get('port'), entry.get('answer'))));
      for (const [used, what] of this.answers) need(given.has(used), `${what}: an answer that nobody gave`);
    }

    // The denial because of what a server could not prove, which is nowhere on record: the gate's word, and it denies.
    unproven(decision, addresses, flow, what) {
      const [good] = admitted(this.policies, decision, addresses);
      const inside = flow.get('protocol') === 'https' && flow.get('rule') === CERTIFICATE;
      need(inside && same(good, addresses), `${what}: the receipt says block, the policies give allow`);
      const reason = text(flow.get('reason'), `${what}: reason`);
      const known = reason.startsWith(`the server can not prove that it is ${decision.name}: `);
      need(known, `${what}: the reason of another denial`);
      return { ...decision, allowed: false, rule: CERTIFICATE, reason, remedy: undefined, observed: false };
    }

    // The denial because of a secret where it does not belong, which is nowhere on record: the gate's word, and it denies.
    leaked(decision, flow, what) {
      const reason = text(flow.get('reason'), `${what}: reason`), found = LEAKED.exec(reason), called = ofAName(reason);
      need(this.secrets.length && (flow.has('method') || called), `${what}: a secret, and the policies have none`);
      need(this.holds(found), `${what}: the reason of another denial`);
      const renamed = NAMING.some((name) => flow.get(name) === HIDDEN_NAME);
      need(!called || renamed, `${what}: a name with a secret, on record`);
      if (inTheMiddle(reason)) this.limits.hold(flow, `refused: ${reason}`);
      else need(!CONDITIONED.some((name) => flow.has(name)), `${what}: a head with a secret, on record`);
      const hidden = flow.get('path') === '/[redacted]' && !flow.has('query_bytes');
      need(found[3] !== 'path' || hidden, `${what}: a path with a secret, on record`);
      const unsaid = !['method', 'head'].includes(found[3]) || flow.get('method') === HIDDEN_METHOD;
      need(unsaid, `${what}: a method with a secret, on record`);
      return { ...decision, allowed: false, rule: SECRET, reason, remedy: undefined, observed: false, opened: undefined };
    }

    // Whether what was found may be: a value, or the placeholder of a secret that the policies have.
    holds(found) {
      return this.secrets.length > 0 && found && (found[1] === 'value' || this.secrets.some(({ name }) => name === found[2]));
    }

    // The denial because a request can not be signed anew, of a secret that signs: the gate's word, and it denies.
    unsigned(decision, flow, what) {
      const reason = text(flow.get('reason'), `${what}: reason`);
      const [, name, why] = /^the request is not signed anew with ([!-~]{1,128}?): (.*)$/.exec(reason) ?? [];
      const known = UNSIGNED.has(why) && this.secrets.some((secret) => secret.signs && secret.name === name);
      need(known, `${what}: a signature, and the policies sign none`);
      need(flow.has('method') && decision.allowed, `${what}: signed what is denied`);
      return { ...decision, allowed: false, rule: SIGNATURE, reason, remedy: undefined, observed: false, opened: undefined };
    }

    // The decision, with the names that the receipt has for the rules of policies.
    worded(decision, flow, what) {
      const label = text(flow.get('rule'), `${what}: rule`), kind = kindOfRule(decision.rule);
      need(kindOfRule(label) === kind, `${what}: by ${shown(label)}, the policies say ${decision.rule}`);
      const by = decision.reason.lastIndexOf(BY);
      if (['allow', 'deny'].includes(kind)) {
        this.named(label, decision.rules, what);
        const reason = kind === 'deny' ? decision.reason.slice(0, by) + BY + label : decision.reason;
        return { ...decision, rule: label, reason };
      }
      if (kind !== 'internal-address' || by < 0) return decision;
      const said = text(flow.get('reason'), `${what}: reason`).split(BY).slice(1).join(BY);
      this.named(said, decision.rules, what);
      return { ...decision, reason: decision.reason.slice(0, by) + BY + said };
    }

    // One name stands for one rule throughout the record, one that decides wherever it is named.
    named(label, rules, what) {
      const [, list] = LABEL.exec(label) ?? [], known = this.labels.get(label);
      const fits = rules.map((rule) => rule.label)
        .filter((its) => list && its.startsWith(list) && (known?.has(its) ?? true));
      need(known || this.labels.size < MAX_LABELS, `${what}: more than ${MAX_LABELS} rules`);
      need(fits.length, `${what}: ${shown(label)} is the name of no rule that gives this`);
      this.labels.set(label, new Set(fits));
    }

    // Its facts were decided when it began.
    ended(record, flow, intent, begun, what) {
      need(intent?.begun === begun && !FLOW_FIRST.some((name) => flow.has(name)), `${what}: an outcome with other facts`);
      const end = endOf(flow, what), said = { verdict: 'allow', layer: 'outcome', pattern: end.pattern };
      for (const name of SAID) {
        const wanted = SAID_TWICE.includes(name) ? intent.record.get(name) : said[name];
        need(record.get(name) === wanted, `${what}: ${name} is not what the policies and facts give`);
      }
      const bare = intent.decision.address;
      need(bare === undefined || !end.addresses.length || same(end.addresses, [bare]),
        `${what}: an address that was not asked for`);
      need(end.peer !== undefined || end.idle, `${what}: bytes or a status of nobody`);
      this.limits.ended(intent.decision, flow, end, what);
      // Later its bytes would be in no connection's.
      const within = flow.get('protocol') !== 'https' || this.inside.has(this.client(flow));
      need(within, `${what}: a request that outlived its connection`);
      if (flow.has('opened')) this.inside.delete(this.client(flow));
      if (!end.addresses.length) return;
      const [good] = admitted(this.policies, intent.decision, end.addresses);
      const denial = this.refused.get(this.client(flow)), admissible = same(good, end.addresses);
      if (admissible && !denial) return;
      need(admissible || (!good.length && end.peer === undefined), `${what}: an address that the policy does not admit`);
      // The look-up's answer, or what the server showed, was refused, which is another receipt.
      need(denial?.facts === this.lookedUp(flow), `${what}: addresses that are not admitted, without their denial`);
      this.refused.delete(this.client(flow));
      need(end.reason === printable(`refused: ${denial.reason}`), `${what}: another outcome`);
    }

    // Nothing, if no receipt waits for another one.
    settle() {
      need(!this.refused.size, 'a connection with a denial and an outcome that does not say so');
      need(!this.limits.cut.size, 'a denial in the middle, and no outcome that says so');
    }
  }

  // ---- the receipts of what was counted, made again ------------------------------------------------------------------

  const PER_LINE = 256, MAX_CHANGE_KINDS = 65; // groups of one receipt
  const MAX_CHANGES = 2; // receipts: of what ends the run, and of what came until it had ended
  const MAX_UID = 2 ** 32 - 1, MAX_SHOWN_NAME = 1020; // 255 bytes, each shown as four characters at most
  // IANA's numbers; any other is `ip-N`.
  const IP_PROTOCOLS = {
    icmp: 1, igmp: 2, tcp: 6, udp: 17, dccp: 33, gre: 47, esp: 50, icmpv6: 58, sctp: 132, udplite: 136, unreadable: 255,
  };
  const PORTED = ['tcp', 'udp', 'dccp', 'sctp', 'udplite'];
  const OTHER = '(other)'; // found no room among the groups
  const MALFORMED = '(malformed)'; // of a question that could not be read
  const REDACTED = '(redacted)'; // of one with a secret in its name
  // Why a question has its answer, and the code of that answer.
  const RCODES = {
    answer: 'FORMERR', malformed: 'FORMERR', opcode: 'NOTIMP', class: 'REFUSED', name: 'REFUSED', address: 'REFUSED',
    exhausted: 'REFUSED', secret: 'REFUSED', reverse: 'NXDOMAIN', loopback: 'NOERROR', empty: 'NOERROR', bound: 'NOERROR',
  };
  const ANSWERED = ['NOERROR', 'NXDOMAIN'], LOOPBACK = { A: '127.0.0.1', AAAA: '::1' };
  // Labels of the letters of hosts, every other byte as \DDD.
  const SHOWN_NAME = /^(?:\.|(?:[a-z0-9_-]|\\[0-9]{3})+(?:\.(?:[a-z0-9_-]|\\[0-9]{3})+)*)$/;
  const SHOWN_TYPE = /^(?:[A-Z]{1,8}|TYPE(?:0|[1-9][0-9]{0,4}))$/;

  // The groups of a line, each after `check`, none twice.
  function groupsOf(flow, name, check, most, what) {
    const groups = flow.get(name), seen = new Set();
    need(Array.isArray(groups) && groups.length <= most, `${what}: ${name} is no list of at most ${most}`);
    for (const group of groups) {
      check(object(group, `${what}: ${name}`), `${what}: ${name}`);
      need(count(group.get('count'), `${what}: count`), `${what}: count: none`);
      seen.add(jcs(new Map([...group].filter(([member]) => member !== 'count'))));
    }
    need(seen.size === groups.length, `${what}: ${name}: one group twice`);
    return groups;
  }

  function hasMembers(group, always, optional, what) {
    const known = [...group.keys()].every((name) => always.includes(name) || optional.includes(name));
    need(known && always.every((name) => group.has(name)), `${what}: a member that is missing or unknown`);
  }

  function checkPacket(group, what) {
    hasMembers(group, ['protocol', 'destination', 'count'], ['port', 'uid'], what);
    const protocol = text(group.get('protocol'), `${what}: protocol`);
    const where = text(group.get('destination'), `${what}: destination`);
    const [, digits] = /^ip-(0|[1-9][0-9]{0,2})$/.exec(protocol) ?? [], number = Number(digits);
    const odd = number <= 255 && !Object.values(IP_PROTOCOLS).includes(number);
    need(odd || Object.hasOwn(IP_PROTOCOLS, protocol), `${what}: protocol is none`);
    if (group.has('port')) {
      ranged(group.get('port'), 0, MAX_PORT, `${what}: port`);
      need(PORTED.includes(protocol), `${what}: a port of ${protocol}`);
    }
    if (group.has('uid')) ranged(group.get('uid'), 0, MAX_UID, `${what}: uid`);
    if (where === OTHER) {
      need(!group.has('port') && !group.has('uid'), `${what}: more of packets that were not told apart`);
    } else if (where === 'unknown') {
      need(protocol === 'unreadable' && !group.has('port'), `${what}: no destination of a packet that was read`);
    } else need(isAddress(where) && !where.includes('%'), `${what}: destination is no address`);
  }

  // Why the resolver answers a name as it does; `bound` may still be `exhausted`.
  function reasonFor(name, type) {
    if (/\.(in-addr|ip6)\.arpa$/.test(`.${name}`)) return 'reverse';
    if (name === 'localhost' || name.endsWith('.localhost')) return 'loopback';
    return type !== 'A' || name === '.' ? 'empty' : 'bound';
  }

  function checkQuestion(group, decisions, what) {
    const { bound } = decisions;
    hasMembers(group, ['name', 'type', 'via', 'rcode', 'reason', 'count'], ['address', 'secret'], what);
    const [name, type, why] = ['name', 'type', 'reason'].map((member) => text(group.get(member), `${what}: ${member}`));
    const given = group.get('address');
    need(['udp', 'udp-loopback', 'tcp'].includes(group.get('via')), `${what}: via`);
    need(Object.hasOwn(RCODES, why), `${what}: a reason that the resolver has not`);
    need(group.get('rcode') === RCODES[why], `${what}: rcode is not that of ${why}`);
    need((why === 'secret') === group.has('secret'), `${what}: secret`);
    if (why === 'secret') {
      const found = LEAKED_NAME.exec(text(group.get('secret'), `${what}: secret`));
      need(decisions.holds(found), `${what}: a secret, and the policies have none`);
    }
    if (['answer', 'malformed', 'opcode'].includes(why) || name === OTHER) {
      need([OTHER, MALFORMED].includes(name) && type === '-', `${what}: a name of what was not read`);
      need(given === undefined, `${what}: an address that no question asked for`);
      return;
    }
    const plain = name.length <= MAX_SHOWN_NAME && SHOWN_NAME.test(name);
    need(why === 'secret' ? name === REDACTED : plain, `${what}: name is not as it is shown`);
    need(SHOWN_TYPE.test(type), `${what}: type is none`);
    if (['reverse', 'loopback', 'empty', 'bound', 'exhausted'].includes(why)) {
      need(reasonFor(name, type) === (why === 'exhausted' ? 'bound' : why), `${what}: reason is not that of name and type`);
    }
    if (why === 'bound') bound.hold(name, text(given, `${what}: address`), what);
    else {
      const wanted = why === 'loopback' && Object.hasOwn(LOOPBACK, type) ? LOOPBACK[type] : undefined;
      need(given === wanted, `${what}: address is not that of ${why}`);
    }
  }

  function checkChange(group, what) {
    hasMembers(group, ['what', 'count'], [], what);
    need(text(group.get('what'), `${what}: what`), `${what}: a change without a word`);
  }

  // Of each kind of facts that no policy decides, the members of the line and what its receipt says.
  const COUNTED = {
    drop(flow, decisions, what) {
      const groups = groupsOf(flow, 'groups', checkPacket, PER_LINE, what), lost = count(flow.get('lost'), `${what}: lost`);
      need(groups.length || lost, `${what}: groups: none`);
      let target = 'drop://*';
      if (groups.length === 1) {
        const [get] = groups.map((group) => (name) => group.get(name)), host = get('destination');
        target = `${get('protocol')}://${host.includes(':') ? `[${host}]` : host}`;
        if (get('port') !== undefined) target += `:${get('port')}`;
      }
      const said = { verdict: 'block', target, transport: 'drop', layer: 'boundary', pattern: 'refused-packet' };
      const sequence = count(flow.get('sequence'), `${what}: sequence`);
      return [{ groups, lost, sequence }, said];
    },
    dns(flow, decisions, what) {
      const check = (group, where) => checkQuestion(group, decisions, where);
      const questions = groupsOf(flow, 'questions', check, PER_LINE, what);
      const good = questions.map((group) => ANSWERED.includes(group.get('rcode')));
      const target = questions.length === 1 ? `dns://${questions[0].get('name')}` : 'dns://*';
      const said = { action_type: 'read', target, transport: 'dns' };
      if (good.some(Boolean)) {
        need(good.every(Boolean), `${what}: questions answered and refused in one receipt`);
        return [{ questions }, { ...said, verdict: 'allow' }];
      }
      const lost = count(flow.get('lost'), `${what}: lost`);
      need(questions.length || lost, `${what}: questions: none`);
      const alarms = questions.filter((group) => group.has('secret')).length, refused = { ...said, verdict: 'block' };
      need(!alarms || alarms === questions.length, `${what}: secrets and other questions in one receipt`);
      if (alarms) return [{ questions, lost }, { ...refused, layer: LAYERS[SECRET], pattern: SECRET, severity: 'high' }];
      return [{ questions, lost }, { ...refused, layer: 'resolver', pattern: 'refused-question' }];
    },
    overload(flow, decisions, what) {
      const limit = text(flow.get('limit'), `${what}: limit`), many = count(flow.get('count'), `${what}: count`);
      need(LIMITS.includes(limit), `${what}: an unknown limit`);
      need(many, `${what}: count: none`);
      const said = { verdict: 'block', target: 'tcp://overload', transport: 'forward', layer: 'limit', pattern: limit };
      return [{ count: many, limit }, said];
    },
    change(flow, decisions, what) {
      need(++decisions.changes <= MAX_CHANGES, `${what}: changes after the run was ended for them`);
      const changes = groupsOf(flow, 'changes', checkChange, MAX_CHANGE_KINDS, what);
      need(changes.length, `${what}: changes: none`);
      const said = { verdict: 'block', target: 'boundary://*', layer: 'boundary' };
      return [{ changes }, { ...said, transport: 'boundary-change', pattern: 'boundary-change' }];
    },
    [BOUNDARY](flow) {
      return [Object.fromEntries(flow), { verdict: 'allow', target: 'sluicegate://boundary/close', transport: BOUNDARY }];
    },
  };

  function checkCounted(record, flow, decisions, what) {
    const kind = flow.get('kind');
    need(Object.hasOwn(COUNTED, kind), `${what}: facts of an unknown kind`);
    const [members, said] = COUNTED[kind](flow, decisions, what);
    compared(record, flow, { kind, ...members }, { action_type: 'unclassified', ...said }, what);
  }

  // ---- what the receipts add up to ---------------------------------------------------------------------------------

  // Limits at which a connection is refused unread; at the others it is one request of a connection that is counted.
  const UNREAD = ['connections', 'record', 'accept', 'descriptors', 'boundary-change'];
  const LIMITS = [...UNREAD, 'requests', 'memory'];
  const MAX_AHEAD = 1000000; // connections accepted later than one that is undecided: more than a gate holds open

  // The record's side of the equation. Sums are exact whatever a record claims.
  class Sums {
    flows = 0n;
    overload = 0n;
    udp = 0n;
    udp_lost = 0n;
    tcp = 0n;
    drops = 0n;
    drops_lost = 0n;
    sequence = 0n; // how many refused packets the kernel numbered, from the first one that was read
    up = 0n;
    down = 0n;
    kernel_up = 0n;
    kernel_down = 0n;
    denied = 0n;
    broken = 0n; // outcomes of what did not run to its end
    requests = 0n; // those that a full record refused
    proxied = 0n; // denials and outcomes behind CONNECT or SOCKS
    http = 0n; // outcomes of clear HTTP, and their bytes:
    http_up = 0n;
    within = new Map(); // bytes up and down of requests within TLS, by connection, until that has ended
    // What the gate alone counts: its receipts, questions of any way, and decisions.
    receipts = 0n;
    asked = 0n;
    allowed = 0n;
    observed = 0n;
    highest = 0; // of the numbers of connections
    below = 0; // every number up to this one was seen, and of those above it these:
    ahead = new Set();

    // The receipt was found to be what its facts give.
    add(record, flow, what) {
      const plus = (name, value) => { this[name] += BigInt(value); };
      const kind = flow.get('kind'), phase = record.get('decision_phase');
      if (kind !== BOUNDARY) this.receipts++;
      if (kind === 'connection') {
        this.numbered(flow.get('connection'), what);
        if (phase === 'intent') this.allowed++;
        else if (record.get('verdict') === 'warn') this.observed++;
        else {
          if (phase !== 'outcome') this.denied++;
          if (['connect', 'socks'].includes(flow.get('via'))) this.proxied++;
        }
        if (phase !== 'outcome') return;
        if (flow.get('outcome') !== 'complete') this.broken++;
        const number = flow.get('connection'), bytes = ['bytes_up', 'bytes_down'].map((name) => BigInt(flow.get(name)));
        const inside = this.within.get(number) ?? [0n, 0n];
        if (flow.get('protocol') === 'https') {
          // Its bytes are in those of the connection that it came in, as TLS sent them.
          this.within.set(number, bytes.map((its, at) => its + inside[at]));
          return;
        }
        if (flow.has('opened')) {
          need(inside.every((its, at) => its <= bytes[at]), `${what}: fewer bytes than its requests have`);
          this.within.delete(number);
        }
        plus('up', flow.get('bytes_up'));
        plus('down', flow.get('bytes_down'));
        // There is no such count where nothing was connected to.
        for (const name of ['kernel_up', 'kernel_down']) plus(name, flow.get(name) ?? 0);
        if (flow.get('protocol') !== 'http' && !flow.has('opened')) return;
        this.http++;
        plus('http_up', flow.get('bytes_up'));
      } else if (kind === 'dns') {
        for (const group of flow.get('questions')) {
          plus('asked', group.get('count'));
          // Those at the command's own loopback pass no counter of the kernel's.
          if (['udp', 'tcp'].includes(group.get('via'))) plus(group.get('via'), group.get('count'));
        }
        plus('udp_lost', flow.get('lost') ?? 0);
      } else if (kind === 'drop') {
        for (const group of flow.get('groups')) plus('drops', group.get('count'));
        plus('drops_lost', flow.get('lost'));
        const sequence = BigInt(flow.get('sequence'));
        need(sequence >= this.sequence && sequence >= this.drops, `${what}: the sequence fell`);
        this.sequence = sequence;
      } else if (kind === 'overload') {
        plus(UNREAD.includes(flow.get('limit')) ? 'overload' : 'requests', flow.get('count'));
      }
    }

    numbered(number, what) {
      need(count(number, `${what}: connection`), `${what}: connections are numbered from 1`);
      this.highest = Math.max(this.highest, number);
      if (number <= this.below || this.ahead.has(number)) return;
      this.flows++;
      this.ahead.add(number);
      need(this.ahead.size <= MAX_AHEAD, `${what}: numbers of connections are left out`);
      while (this.ahead.delete(this.below + 1)) this.below++;
    }
  }

  // ---- the equation: the kernel's counters against these sums --------------------------------------------------------

  const COUNTERS = ['captured', 'captured_dns', 'local', 'local_answered', 'local_refused', 'questions', 'refused',
    'refused_syn', 'Tcp.ActiveOpens', 'Tcp.PassiveOpens', 'Tcp.RetransSegs', 'TcpExt.TCPSynRetrans',
    'TcpExt.EmbryonicRsts', 'TcpExt.SyncookiesSent', 'log.lost', 'dns.lost', 'tcp.lost', 'dns_tcp.lost', 'lo.lost', 'up4',
    'up4.bytes', 'up6', 'up6.bytes', 'up_odd', 'up_odd.bytes', 'up_urgent', 'down4', 'down4.bytes', 'down6', 'down6.bytes',
    'down_odd', 'down_odd.bytes'];
  // The record's side, in the order that the gate's own names have below.
  const TERMS = {
    flows: 'flows', overload: 'overload', dns_tcp: 'dns_tcp', udp: 'dns_captured', udp_lost: 'dns_lost',
    tcp: 'dns_stream', drops: 'drops_seen', drops_lost: 'drops_lost', sequence: 'drops_sequence', up: 'bytes_up',
    down: 'bytes_down', kernel_up: 'kernel_up', kernel_down: 'kernel_down', denied: 'denied', broken: 'broken',
    requests: 'refused_requests', proxied: 'proxied', http: 'http', http_up: 'http_up',
  };
  // Each of these, and each repeat, is at most one SYN that made no connection.
  const UNFINISHED = ['tcp.lost', 'dns_tcp.lost', 'lo.lost', 'TcpExt.EmbryonicRsts', 'TcpExt.SyncookiesSent'];
  // Bytes of headers of a segment: IPv4's and IPv6's with TCP's timestamps alone, and of any other the least and most.
  const PLAIN4_BYTES = 52n, PLAIN6_BYTES = 72n, LEAST_HEADER_BYTES = 40n, MOST_HEADER_BYTES = 120n;
  // What a client got or sent beside the bytes of outcomes: a repeated segment, a proxy's replies and head, the last
  // words of a denial, what was never passed on, and the line of a chunk around one byte of HTTP.
  const SEGMENT_BYTES = 65536n, PROXY_REPLY_BYTES = 64n, PROXY_HEAD_BYTES = 69632n, LAST_WORDS_BYTES = 65536n;
  const UNPASSED_BYTES = 67108864n, CHUNK_LINE_BYTES = 4100n;

  // By how much each counter rose from `open` to `close` of boundary.json.
  function risen(opened, closed) {
    need(isObject(opened) && isObject(closed), 'boundary.json\'s equation: the counters are not two objects');
    return Object.fromEntries(COUNTERS.map((name) => {
      const [first, last] = [opened.get(name), closed.get(name)];
      need(isCount(first) && isCount(last) && first <= last, `boundary.json's equation: no counter ${name}, or it fell`);
      return [name, BigInt(last) - BigInt(first)];
    }));
  }

  // How far `value` is below 0 (negative) or above `most` (positive).
  const beyond = (value, most) => (value < 0n ? value : value > most ? value - most : 0n);

  const larger = (one, other) => (one > other ? one : other);
  const smaller = (one, other) => (one < other ? one : other);

  // The least and the most bytes of data in the segments of connections to the gate that went `up` or `down`.
  function payload(kernel, way) {
    const [four, six, odd] = ['4', '6', '_odd'].map((kind) => [kernel[way + kind], kernel[`${way}${kind}.bytes`]]);
    const plain = four[1] - PLAIN4_BYTES * four[0] + six[1] - PLAIN6_BYTES * six[0];
    return [plain + larger(odd[1] - MOST_HEADER_BYTES * odd[0], 0n), plain + odd[1] - LEAST_HEADER_BYTES * odd[0]];
  }

  // How many bytes of the segments the outcomes do not explain, and of the outcomes the segments.
  function segments(kernel, record, up, down) {
    const again = larger(kernel['Tcp.RetransSegs'] - kernel['TcpExt.TCPSynRetrans'], 0n) * SEGMENT_BYTES;
    const loose = record.denied + record.broken + record.requests;
    const mostDown = record.down + PROXY_REPLY_BYTES * record.proxied + LAST_WORDS_BYTES * loose + again;
    // Of urgent data, one byte of each segment is not in the stream.
    const mostUp = record.up + PROXY_HEAD_BYTES * record.proxied + UNPASSED_BYTES * (loose + record.http)
      + CHUNK_LINE_BYTES * record.http_up + kernel.up_urgent + again;
    return {
      segments_down: larger(down[0] - mostDown, 0n),
      segments_up: larger(up[0] - mostUp, 0n) || smaller(up[1] - record.up + record.http_up, 0n),
    };
  }

  // `kernel`, `record`, `derived` and, by line, `residual`: what packet.md has as the equation.
  function solved(kernel, sums, gate) {
    const held = { ...sums, dns_tcp: gate.dns_tcp };
    const record = Object.fromEntries(Object.keys(TERMS).map((name) => [name, held[name]]));
    const { flows, overload, udp, udp_lost, tcp, drops, drops_lost, sequence, up, down, kernel_up, kernel_down } = record;
    const syn = kernel.captured + kernel.captured_dns, accepted = flows + overload + gate.dns_tcp;
    const sentUp = payload(kernel, 'up'), sentDown = payload(kernel, 'down');
    const repeats = syn + kernel.local + kernel.refused_syn - kernel['Tcp.ActiveOpens'];
    const derived = {
      accepted,
      repeats,
      local_established: kernel['Tcp.PassiveOpens'] - accepted,
      unfinished: syn - accepted,
      unfinished_most: UNFINISHED.reduce((sum, name) => sum + kernel[name], larger(repeats, 0n)),
      up_least: sentUp[0],
      down_least: sentDown[0],
      up_most: sentUp[1],
      down_most: sentDown[1],
    };
    const mostLocal = smaller(kernel.local - kernel.local_refused, kernel.local_answered);
    const residual = {
      attempts: beyond(repeats, kernel['TcpExt.TCPSynRetrans']),
      established: beyond(derived.local_established, mostLocal),
      captured: beyond(kernel.captured - flows, syn),
      captured_dns: beyond(kernel.captured_dns - gate.dns_tcp, syn),
      unfinished: beyond(derived.unfinished, derived.unfinished_most),
      dns_tcp: beyond(tcp - gate.dns_tcp, tcp),
      questions: kernel.questions - udp - udp_lost,
      refused: kernel.refused - drops - drops_lost,
      sequence: beyond(sequence - drops, drops_lost),
      lost_log: drops_lost - kernel['log.lost'],
      lost_questions: udp_lost - kernel['dns.lost'],
      bytes_up: up - kernel_up,
      bytes_down: down - kernel_down,
      total_up: gate.bytes_up - up,
      total_down: gate.bytes_down - down,
      ...segments(kernel, record, sentUp, sentDown),
    };
    return { kernel, record, derived, residual };
  }

  const partOf = (holder, name) => object(holder.get(name), `boundary.json: ${name}`);

  // What the gate counted, by the names it has for that.
  function countedBy(boundary, names) {
    const gate = partOf(partOf(boundary, 'close'), 'gate');
    return Object.fromEntries(names.map((name) => [name, BigInt(count(gate.get(name), `boundary.json: ${name}:`))]));
  }

  // Where the gate counted something else than its receipts add up to, as `name: difference`.
  function gateLines(boundary, sums) {
    const { dns_tcp } = countedBy(boundary, ['dns_tcp']);
    const held = { ...sums, dns_tcp }; // connections to the resolver: it alone counts those
    const wanted = Object.fromEntries(Object.entries(TERMS).map(([name, said]) => [said, held[name]]));
    Object.assign(wanted, {
      connections: sums.flows + sums.overload + dns_tcp, allowed: sums.allowed, observed: sums.observed,
      dns_asked: sums.asked, receipts: sums.receipts,
    });
    const told = countedBy(boundary, Object.keys(wanted));
    return Object.keys(wanted).filter((name) => told[name] !== wanted[name])
      .map((name) => `${name}: ${withSign(told[name] - wanted[name])}`);
  }

  const withSign = (value) => `${value > 0n ? '+' : ''}${value}`;

  // The equation, if boundary.json has the same.
  function solution(boundary, sums) {
    const [opened, closed] = [partOf(boundary, 'open'), partOf(boundary, 'close')], told = partOf(closed, 'equation');
    const gate = countedBy(boundary, ['dns_tcp', 'bytes_up', 'bytes_down']);
    const found = solved(risen(opened.get('counters'), closed.get('counters')), sums, gate);
    for (const [name, ours] of Object.entries(found)) {
      const theirs = object(told.get(name), `boundary.json's equation: ${name}`);
      for (const term of new Set([...Object.keys(ours), ...theirs.keys()])) {
        const said = theirs.get(term), same = Number.isInteger(said) && BigInt(said) === ours[term];
        need(same, `boundary.json's equation: ${name} ${term}`);
      }
    }
    need(told.size === Object.keys(found).length, 'boundary.json\'s equation has other parts');
    return found;
  }

  // ---- what the receipts say, for people -----------------------------------------------------------------------------

  const MAX_DENIALS = 1000; // different ones told apart
  const MAX_ALARMS = 200; // so many more of those because of a secret
  const MAX_NAMES = 65536; // different names told apart
  const MAX_CHANGED = 5; // different changes of the boundary that are named
  const MAX_HOLES = 10; // named in words
  const MAX_ALLOWED = 10; // destinations that a person allowed, in words
  const MAX_LISTED = 50; // denials on the page
  const MAX_PAGE_TEXT = 300; // characters of one text on the page

  class Account {
    allowed = 0;
    denied = 0;
    warned = 0;
    dropped = 0;
    questions = 0;
    changes = 0;
    changed = [];
    unlisted = 0;
    denials = new Map();
    names = new Set();

    add(record, flow) {
      const kind = flow.get('kind'), verdict = record.get('verdict');
      const many = (holder) => (Number.isInteger(holder.get('count')) && holder.get('count') > 0 ? holder.get('count') : 1);
      const groups = (name) => (Array.isArray(flow.get(name)) ? flow.get(name).filter(isObject) : []);
      const why = () => flow.get('reason') || record.get('pattern') || 'denied';
      const told = (before) => [record.get('target'), `${before}${why()}`, flow.get('remedy') || ''];
      if (kind === BOUNDARY) return;
      if (kind === 'dns') {
        for (const group of groups('questions')) {
          const name = String(group.get('name') ?? '?');
          this.questions += many(group);
          if (this.names.size < MAX_NAMES) this.names.add(name);
          if (verdict !== 'block') continue;
          const said = group.has('secret') ? `${group.get('secret')} is in the name` : group.get('reason') ?? '';
          this.deny([`dns://${name}`, `question refused: ${said}`, ''], many(group), group.has('secret'));
        }
      } else if (kind === 'drop') {
        for (const group of groups('groups')) {
          const port = group.get('port') === undefined ? '' : ` port ${group.get('port')}`;
          const where = `${group.get('protocol') ?? '?'} to ${group.get('destination') ?? '?'}${port}`;
          this.dropped += many(group);
          this.deny([where, 'packet refused: the gate does not speak for it', ''], many(group));
        }
        if (isCount(flow.get('lost'))) this.dropped += flow.get('lost');
      } else if (kind === 'change') {
        const found = groups('changes');
        this.changes += found.reduce((sum, group) => sum + many(group), 0) || 1;
        for (const what of found.map((group) => String(group.get('what') ?? '?'))) {
          if (!this.changed.includes(what) && this.changed.length < MAX_CHANGED) this.changed.push(what);
        }
      } else if (verdict === 'block') {
        this.denied += many(flow);
        this.deny(told(''), many(flow), record.get('severity') === 'high');
      } else if (verdict === 'warn') {
        this.warned++;
        this.deny(told('let through by observe mode: '), 1);
      } else if (record.get('decision_phase') !== 'outcome') this.allowed++;
    }

    deny(words, times, alarm = false) {
      const name = JSON.stringify(words), known = this.denials.get(name);
      if (!known && this.denials.size >= MAX_DENIALS + (alarm ? MAX_ALARMS : 0)) this.unlisted += times;
      else this.denials.set(name, { words, times: (known?.times ?? 0) + times, alarm });
    }
  }

  // Why the boundary at the close is not the one that was probed; empty if it is.
  function disturbed(boundary, account) {
    if (account.changes) {
      const changed = account.changed.join('; ');
      return `the boundary was changed during the run (changes: ${account.changes}): ${changed}`;
    }
    const network = (name) => {
      const part = boundary?.get(name), found = isObject(part) ? part.get('network') : null;
      return isObject(found) ? found : new Map();
    };
    const before = network('open'), after = network('close');
    if (!boundary?.has('close') || jcs(before) === jcs(after)) return '';
    const text = (holder, name) => (holder.has(name) ? jcs(holder.get(name)) : 'null');
    const names = [...new Set([...before.keys(), ...after.keys()])].sort();
    const differs = names.filter((name) => text(before, name) !== text(after, name));
    return `the boundary's network is not the same at the close: ${differs.join(', ')}`;
  }

  // What a sound record says against its own run, in sentences.
  function reservations(boundary, account) {
    const probe = boundary?.get('open')?.get('probe'), holes = isObject(probe) ? probe.get('holes') : null, found = [];
    if (Array.isArray(holes) && holes.length) {
      const more = holes.length > MAX_HOLES ? `; and ${holes.length - MAX_HOLES} more` : '';
      const some = holes.slice(0, MAX_HOLES).join('; ');
      found.push(`the boundary had holes that the caller chose to ignore: ${some}${more}`);
    }
    const answers = boundary?.get('close')?.get('answers') ?? [];
    const allowed = [...new Set(answers.filter((one) => ALLOWING.includes(one.get('answer')))
      .map((one) => `${one.get('host')} port ${one.get('port')}`))];
    if (allowed.length) {
      const more = allowed.length > MAX_ALLOWED ? `; and ${allowed.length - MAX_ALLOWED} more` : '';
      const some = allowed.slice(0, MAX_ALLOWED).join('; ');
      found.push(`a person at the terminal allowed what no rule names: ${some}${more}`);
    }
    return [...found, disturbed(boundary, account)].filter(Boolean);
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
    account = new Account();
    sums = new Sums();
    decisions = null; // under the policies, if they could be read
    contradiction = ''; // the first thing a receipt says that policies or facts do not bear out

    constructor(policy) {
      try {
        this.decisions = new Decisions(readPolicies(policy));
      } catch (error) {
        this.contradicted(error);
      }
    }

    contradicted(error) {
      if (!(error instanceof Refusal)) throw error;
      this.contradiction ||= error.message;
    }

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
      if (flow.has('process')) {
        need(flow.get('kind') === 'connection', `${what}: a process of something that is no connection`);
        need(record.get('decision_phase') !== 'outcome', `${what}: a process where only decisions have one`);
        checkProcess(flow.get('process'), what);
      }
      this.account.add(record, flow);
      this.audit(record, flow);
    }

    // A receipt may be well signed and be of no such facts: then the record holds together, and lies.
    audit(record, flow) {
      if (this.contradiction) return;
      const what = `receipt ${record.get('chain_seq')}`, kind = flow.get('kind');
      try {
        if (kind === 'connection') this.decisions.add(record, flow, what);
        else checkCounted(record, flow, this.decisions, what);
        this.sums.add(record, flow, what);
      } catch (error) {
        this.contradicted(error);
      }
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

  async function replay(evidence, flows, policy) {
    const state = new Replay(policy), facts = linesOf(flows);
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
    opening(opened, Boolean(state.decisions?.secrets.length));
    if (!state.closed) return found;
    const whole = `sha256:${await sha256hex(data)}`;
    need(state.boundary.get('boundary_sha256') === whole, 'boundary.json is not the one in the record');
    const close = object(found.get('close'), 'boundary.json: close');
    ending(close, Boolean(state.decisions?.asks));
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

  // ---- what was probed: everything that boundary.json makes of the outcomes is made again --------------------------

  const CALLS = ['io_uring_setup', 'bpf', 'ptrace', 'process_vm_readv', 'pidfd_getfd', 'perf_event_open', 'userfaultfd',
    'keyctl', 'setns', 'setns own', 'mount', 'open_by_handle_at', 'unshare user', 'unshare net', 'clone user'];
  // Ways whose outcome can be this word only.
  const EXACT = {
    'socket families': 'none but the expected', 'socket protocols': 'none', 'host sockets': 'none reachable',
    'environment sockets': 'none reachable', 'exec set-id': 'no other identity', securebits: '0xef',
    'read hidden': 'none readable', capabilities: 'none', no_new_privs: '1', seccomp: '2', processes: 'own',
    links: 'lo', routes: 'lo', ...named(CALLS.map((name) => `call ${name}`), 'EPERM'), 'call clone3': 'ENOSYS',
  };
  // Ways that must not be open, and ways that must be, into the boundary's own sockets.
  const REFUSED = ['socket raw', 'socket raw6', 'socket ping', 'socket packet', 'socket vsock', 'docker socket',
    'host loopback', 'host abstract socket', 'read key', 'write evidence', 'write root', 'write sysctl', 'signal others',
    'regain group', 'write sysrq', 'regain root', 'udp 192.0.2.1 443', 'udp 2001:db8::1 123', 'udp 224.0.0.251 5353'];
  const ASKED = ['dns 192.0.2.53 53', 'dns 2001:db8::53 53'];
  const TAKEN = ['tcp 192.0.2.1 443', 'tcp 2001:db8::1 80', 'tcp 169.254.169.254 80', ...ASKED];
  const IDENTITY = ['uid', 'gid'];
  const FAILURE = /^(E[A-Z0-9]+|[A-Z][A-Za-z]*Error|unknown error)$/;

  function ofAProbe(name, said) {
    if (Object.hasOwn(EXACT, name) || IDENTITY.includes(name)) return true;
    if (name === 'host sockets tried') {
      const some = /^(0|[1-9][0-9]{0,9}) of (0|[1-9][0-9]{0,9})$/.exec(said);
      return some !== null && Number(some[1]) <= Number(some[2]);
    }
    if (!REFUSED.includes(name) && !TAKEN.includes(name)) return false;
    return said === 'open' || FAILURE.test(said) || (name === 'read key' && said === 'no file');
  }

  // The ways that are not shut, with a sentence for each, in the order in which they are looked at.
  function holesOf(outcomes, captured) {
    const found = new Map();
    for (const name of REFUSED) {
      if ((outcomes.get(name) ?? 'open') === 'open') found.set(name, `${name} is not refused`);
    }
    for (const [name, wanted] of Object.entries(EXACT)) {
      if (outcomes.get(name) !== wanted) found.set(name, `${name}: ${outcomes.get(name) ?? 'not probed'}`);
    }
    for (const name of TAKEN) {
      if (!captured.includes(name)) found.set(name, `${name} did not arrive at the gate`);
    }
    for (const name of IDENTITY) {
      if ((outcomes.get(name) ?? '0') === '0') found.set(name, `${name} is 0`);
    }
    return found;
  }

  function rawSockets(outcomes) {
    const said = ['socket raw', 'socket raw6', 'socket packet'].map((name) => outcomes.get(name));
    if (said.includes(undefined)) return 'unknown';
    return said.includes('open') ? 'allowed' : 'denied';
  }

  function dockerSocket(outcomes, there) {
    const said = outcomes.get('docker socket');
    if (said === undefined) return 'unknown';
    if (said === 'open') return 'allowed';
    if (said === 'EACCES' || said === 'EPERM') return 'denied';
    return there ? 'masked' : 'absent';
  }

  function questions(outcomes, captured) {
    if (!ASKED.every((name) => outcomes.has(name))) return 'unknown';
    const sent = ASKED.filter((name) => outcomes.get(name) === 'open');
    if (!sent.every((name) => captured.includes(name))) return 'allowed';
    return sent.length === ASKED.length ? 'proxied' : 'denied';
  }

  function proxy(outcomes, captured, hole) {
    if (!TAKEN.every((name) => outcomes.has(name))) return 'unknown';
    return !hole && TAKEN.every((name) => captured.includes(name)) ? 'forced' : 'advisory';
  }

  function probed(opened, secrets) {
    const probe = opened.get('probe'), outcomes = probe.get('outcomes'), captured = probe.get('captured');
    for (const [name, said] of outcomes) {
      need(ofAProbe(name, said), `boundary.json: an outcome that no probe has: ${shown(name)}`);
    }
    need(rises(captured, byCodePoint), 'boundary.json: captured is not a sorted set');
    need(captured.every((name) => name === 'log' || TAKEN.includes(name)), 'boundary.json: captured what no probe sends');
    const holes = holesOf(outcomes, captured);
    const ways = [...REFUSED, ...Object.keys(EXACT), ...TAKEN, ...IDENTITY];
    const number = (name) => (/^(0|[1-9][0-9]{0,9})$/.test(outcomes.get(name) ?? '') ? Number(outcomes.get(name)) : -1);
    const posture = {
      enforcement_mode: `linux_${opened.get('tier').replaceAll('-', '_')}_tproxy`,
      runner_os: 'Linux',
      runner_arch: opened.get('posture').get('runner_arch'),
      raw_socket_status: rawSockets(outcomes),
      docker_socket_status: dockerSocket(outcomes, probe.get('docker')),
      dns_udp_status: questions(outcomes, captured),
      browser_proxy_status: proxy(outcomes, captured, holes.size > 0),
      websocket_frame_scanning: secrets ? 'explicit_ws_proxy_path_required' : 'off',
      unsupported_paths: [...holes.keys()].sort(byCodePoint),
    };
    if (/^[0-9]+$/.test(outcomes.get('uid') ?? '')) posture.agent_uid = Number(outcomes.get('uid'));
    const results = Object.fromEntries(ways.map((name) => [name, holes.has(name) ? 'failed' : 'passed']));
    for (const [name, said, found] of [
      ['holes', probe.get('holes'), [...holes.values()]],
      ['results', probe.get('results'), made(results)],
      ['holes_ignored', opened.get('holes_ignored'), holes.size > 0],
      ['identity', opened.get('identity'), made({ uid: number('uid'), gid: number('gid') })],
      ['posture', opened.get('posture'), made(posture)],
    ]) {
      need(jcs(said) === jcs(found), `boundary.json: ${name} is not what was probed`);
    }
  }

  // Closed sets of members, each of its kind.
  const isDigest = (value) => isText(value) && /^[0-9a-f]{64}$/.test(value);
  const isBoolean = (value) => value === true || value === false;
  const SHOWN = ['memberships', 'Tcp.AttemptFails', 'TcpExt.ListenOverflows', 'TcpExt.ListenDrops', 'Ip.OutDiscards',
    'Udp.RcvbufErrors'];
  const GATE = ['connections', 'flows', 'allowed', 'denied', 'observed', 'overload', 'bytes_up', 'bytes_down',
    'kernel_up', 'kernel_down', 'dns_tcp', 'changes', 'receipts', 'broken', 'refused_requests', 'proxied', 'http', 'http_up',
    'dns_asked', 'dns_stream', 'dns_captured', 'dns_lost', 'drops_seen', 'drops_lost', 'drops_sequence'];
  // Counts of known names; which of them are there depends on the kernel.
  const countsOf = (names) => (value) => isObject(value)
    && [...value].every(([name, count]) => names.includes(name) && isCount(count));
  const isCounts = countsOf([...COUNTERS, ...SHOWN]);
  const isWords = (value) => isObject(value) && [...value.values()].every(isText);
  const isStep = (value) => Array.isArray(value) && value.length === 3 && value.every(isText);
  const COMMAND = { name: isText, args: isCount, argv_sha256: isDigest };
  const PROBE = { outcomes: isWords, captured: isTexts, docker: isBoolean, holes: isTexts, results: isWords };
  const NETWORK = {
    ...named(['addresses', 'links', 'routes', 'rules', 'settings'], isTexts),
    ruleset: (value) => isText(value) && HASH.test(value), generation: isCount,
  };
  const AUTHORITY = { sha256: isDigest, names: isTexts };
  const OPEN = {
    ...named(['run', 'started_at', 'sluicegate', 'kernel'], word), commit: isText,
    tier: (value) => value === 'netns-root' || value === 'netns-rootless',
    ...named(['network', 'command', 'identity', 'probe', 'ci', 'posture'], isObject), counters: isCounts,
    ...named(['withheld', 'workspace_credentials'], isTexts), holes_ignored: isBoolean,
    plan: (value) => Array.isArray(value) && value.length > 0 && value.every(isStep),
  };
  const CLOSE = { ...named(['network', 'run', 'equation', 'workspace'], isObject), counters: isCounts, gate: countsOf(GATE) };

  const ANSWER = { connection: isCount, host: isText, port: (value) => isCount(value) && value > 0 && value <= 65535,
    answer: (value) => isText(value) && Object.hasOwn(ANSWERS, value) };
  const isAnswers = (value) => Array.isArray(value) && value.length <= MAX_QUESTIONS && value.every((entry) => isObject(entry)
    && entry.size === Object.keys(ANSWER).length && Object.entries(ANSWER).every(([name, is]) => entry.has(name) && is(entry.get(name))));

  const exactly = (found, known, what) => members(found, known, Object.keys(known), `boundary.json: ${what}`);

  function opening(opened, secrets) {
    const required = Object.keys(OPEN);
    members(opened, { ...OPEN, authority: isObject }, required, 'boundary.json: open');
    comparable(opened.get('started_at'), 'boundary.json: started_at');
    exactly(opened.get('command'), COMMAND, 'command');
    exactly(opened.get('probe'), PROBE, 'probe');
    exactly(opened.get('network'), NETWORK, 'network at the open');
    if (opened.has('authority')) exactly(opened.get('authority'), AUTHORITY, 'authority');
    need(word(opened.get('posture').get('runner_arch')), 'boundary.json: posture\'s runner_arch');
    probed(opened, secrets);
  }

  function ending(close, asks) {
    exactly(close, asks ? { ...CLOSE, answers: isAnswers } : CLOSE, 'close');
    exactly(close.get('network'), NETWORK, 'network at the close');
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
    const [evidence, flows, policy] = RECORD.map((name) => files.get(name) ?? nothing);
    const state = await replay(evidence, flows, policy), boundary = state.measured = await measured(state, files);
    if (!state.ended) {
      for (const name of FINISHED) need(!files.has(name), `${name} of a record whose end is not signed`);
      return state;
    }
    for (const name of FINISHED) need(files.has(name), `${name} is missing`);
    state.workspace = await changed(state, boundary.get('close'), files.get(WORKSPACE));
    const packet = bytesOf(`${pretty(auditPacket(state, boundary))}\n`);
    need(same(packet, files.get('packet.json')), 'packet.json says other things than the record');
    const page = new TextDecoder('latin1').decode(files.get('VERIFY.md'));
    const rest = page.replace(state.nonce, '@NONCE@').replace(state.signer, '@SIGNER@');
    need(await sha256hex(bytesOf(rest)) === COMMANDS, 'VERIFY.md says other things than the record');
    await checkNote(state, files.get('checkpoint'));
    await checkSeals(state, boundary.get('open'), files);
    return state;
  }

  // ---- workspace.json: what the command changed; flags and counts are made again of what is listed ------------------

  const WORKFLOWS = ['.github/workflows', '.github/actions', '.gitea/workflows', '.forgejo/workflows', '.gitlab-ci.yml',
    '.gitlab-ci.yaml', '.gitlab/ci', 'Jenkinsfile', '.jenkins', '.circleci', '.buildkite', '.woodpecker',
    '.woodpecker.yml', '.woodpecker.yaml', '.drone.yml', '.travis.yml', '.azure-pipelines', 'azure-pipelines.yml',
    'azure-pipelines.yaml', 'bitbucket-pipelines.yml', '.cirrus.yml', 'appveyor.yml', '.appveyor.yml', 'cloudbuild.yaml',
    '.semaphore', '.teamcity', 'sluicegate.yaml', '.pipelock'];
  const HOOKED = ['.husky', '.githooks', '.pre-commit-config.yaml', '.pre-commit-hooks.yaml', 'lefthook.yml',
    'lefthook.yaml', '.lefthook.yml', '.overcommit.yml'];
  const SCRIPTED = new Set(['package.json', '.npmrc', '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs', 'binding.gyp',
    'bunfig.toml', 'deno.json', 'deno.jsonc', 'setup.py', 'setup.cfg', 'pyproject.toml', 'tox.ini', 'noxfile.py',
    'conftest.py', 'pytest.ini', 'sitecustomize.py', 'usercustomize.py', 'pip.conf', 'uv.toml', 'Makefile', 'makefile',
    'GNUmakefile', 'CMakeLists.txt', 'meson.build', 'build.rs', 'Cargo.toml', 'build.gradle', 'build.gradle.kts',
    'settings.gradle', 'settings.gradle.kts', 'gradle.properties', 'gradlew', 'mvnw', 'pom.xml', 'Rakefile', 'Gemfile',
    'composer.json', 'Dockerfile', 'Containerfile', 'docker-compose.yml', 'compose.yaml', 'Justfile', 'justfile',
    'Taskfile.yml', '.envrc', '.env', '.bashrc', '.profile', '.bazelrc', 'WORKSPACE', 'tasks.json', 'devcontainer.json',
    'go.work', 'BUILD', 'BUILD.bazel']);
  const SCRIPT_ENDING = /\.(?:gemspec|mk|pth|csproj|targets|props)$/;
  const WEIGHTS = { git: 0, hook: 0, 'set-id': 0, workflow: 0, 'link-out': 1, script: 1, special: 1, executable: 2, 'hard-link': 2 };
  const GAPS = {
    entries: 'there was more than is looked at: not every change may be known',
    unread: 'places could not be looked into: their changes are not known',
    unwatched: 'writes through mappings may be missing, on a file system in memory with more than is read',
  };
  const KINDS_OF_CHANGE = ['added', 'deleted', 'mode', 'modified'];
  const MAX_CHANGES_LISTED = 20000, MAX_UNREAD = 100, MAX_REFUSED = 64, MAX_OUTPUT_BYTES = 262144, MAX_OUTPUT_NAME = 100;
  const REFUSALS = ['a control character, or bytes that are not UTF-8', 'a line that a runner takes for a command',
    'not granted by every policy', 'not an output: no name and value', 'the file has more than 1048576 bytes',
    'more than 262144 bytes', 'its delimiter does not come'];
  // Printable ASCII; every other byte, and the percent sign, as two upper-case digits.
  const isSpelled = (value) => isText(value) && /^(?:[ -$&-~]|%(?:[01][0-9A-F]|25|7F|[89A-F][0-9A-F]))+$/.test(value);
  const isMode = (value) => isText(value) && /^[0-7]{4}$/.test(value);
  // As the bytes are ordered that are spelled so.
  const bytesIn = (text) => text.replace(/%(..)/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));

  function inGit(inner, gone, changed) {
    if (!inner.length) return ['git'];
    if (inner[0] === 'objects') return changed ? ['git'] : [];
    if (['refs', 'logs'].includes(inner[0])) return [];
    if (inner.includes('hooks')) return inner[inner.length - 1].endsWith('.sample') ? [] : ['hook'];
    const last = inner[inner.length - 1];
    const told = ['config', 'config.worktree', 'commondir', 'gitdir'].includes(last);
    return told || (inner.length === 1 && last === 'HEAD' && gone) ? ['git'] : [];
  }

  function leadsOut(path, target) {
    let depth = path.split('/').length - 1;
    if (target.startsWith('/')) return true;
    for (const name of target.split('/')) {
      if (name === '..') depth -= 1;
      else if (name !== '' && name !== '.') depth += 1;
      if (depth < 0) return true;
    }
    return false;
  }

  function flagsOf(path, before, after) {
    const names = path.split('/'), last = names[names.length - 1], at = names.indexOf('.git'), found = new Set();
    const say = (flag, ok) => { if (ok) found.add(flag); };
    if (at >= 0) for (const flag of inGit(names.slice(at + 1), !after, Boolean(before && after))) found.add(flag);
    else say('git', ['.gitmodules', '.gitattributes', 'HEAD'].includes(last));
    say('hook', names.some((name) => HOOKED.includes(name)));
    say('workflow', ['action.yml', 'action.yaml'].includes(last)
      || WORKFLOWS.some((place) => path === place || path.startsWith(`${place}/`)));
    say('script', !names.includes('node_modules') && !names.includes('site-packages')
      && (SCRIPTED.has(last) || SCRIPT_ENDING.test(last)));
    if (!after) return [...found].sort();
    const type = after.get('type'), mode = parseInt(after.get('mode') ?? '0', 8);
    say('set-id', type === 'file' && (mode & 0o6000) !== 0);
    say('executable', type === 'file' && (mode & 0o111) !== 0);
    say('hard-link', after.has('links'));
    say('special', ['block', 'char', 'fifo', 'socket'].includes(type));
    say('link-out', type === 'link' && leadsOut(path, after.get('target')));
    return [...found].sort();
  }

  function isObjectOfGit(path) {
    const names = path.split('/'), at = names.indexOf('.git');
    if (at < 0) return false;
    let inner = names.slice(at + 1);
    if (inner[0] === 'modules' && inner.includes('objects')) inner = inner.slice(inner.indexOf('objects'));
    return inner[0] === 'objects' && inner.length > 1 && (inner[1] === 'pack' || /^[0-9a-f]{2}$/.test(inner[1]));
  }

  const TREE = {
    path: (value) => isSpelled(value) && value.startsWith('/'), kind: isText, entries: isCount,
    content: (value) => value === 'read' || value === 'stat',
  };
  const FILE = {
    type: isText, mode: isMode, size: isCount, sha256: isDigest, links: (value) => isCount(value) && value > 1,
  };
  const CHANGE = { tree: isCount, path: isSpelled, change: isText, flags: isTexts, before: isObject, after: isObject };
  const CHANGED = {
    ...named(['version', 'unlisted', 'unhashed'], isCount), ...named(['trees', 'changes', 'gaps'], Array.isArray),
    ...named(['counts', 'flagged', 'objects', 'unread'], isObject), outputs: isObject,
  };
  const HANDED = { name: isText, sha256: isDigest, bytes: (value) => isCount(value) && value <= MAX_OUTPUT_BYTES };
  const KEPT_BACK = {
    name: (value) => isText(value) && /^[ -~]*$/.test(value) && value.length <= MAX_OUTPUT_NAME,
    why: (value) => REFUSALS.includes(value),
  };

  function nodeOf(node, name) {
    const type = node.get('type'), what = `${WORKSPACE}: ${name}`;
    if (type === 'link') return members(node, { type: isText, target: isSpelled }, ['type', 'target'], what);
    if (type === 'file') {
      need(!node.has('links') || name === 'after', `${what}: links`);
      return members(node, FILE, ['type', 'mode', 'size'], what);
    }
    need(['block', 'char', 'dir', 'fifo', 'socket'].includes(type), `${what}: of no type`);
    return members(node, { type: isText, mode: isMode }, ['type', 'mode'], what);
  }

  // The place of one change; whether it is a file that was not read.
  function changeOf(value, trees) {
    const change = object(value, `${WORKSPACE}: change`), what = `${WORKSPACE}: a change`;
    members(change, CHANGE, ['tree', 'path', 'change', 'flags'], what);
    const path = change.get('path'), kind = change.get('change');
    need(change.get('tree') < trees, `${what} in no tree`);
    need(path === '.' || path.split('/').every((name) => !['', '.', '..'].includes(name)), `${what}: no path in a tree`);
    const [before, after] = ['before', 'after'].map((name) => change.has(name) && nodeOf(change.get(name), name));
    let fits = kind === 'modified' && before && after;
    if (kind === 'added') fits = !before && after;
    if (kind === 'deleted') fits = before && !after;
    if (kind === 'mode') {
      fits = before && after && before.get('mode') !== after.get('mode')
        && ['type', 'size'].every((name) => before.get(name) === after.get(name));
    }
    need(fits, `${what}: ${shown(path)} is not ${shown(kind)}`);
    need(jcs(change.get('flags')) === jcs(flagsOf(path, before, after)), `${what}: ${shown(path)} has other flags`);
    const counted = (kind === 'added' || kind === 'deleted') && isObjectOfGit(path);
    need(!counted, `${what}: ${shown(path)} is listed, not counted`);
    return after && after.get('type') === 'file' && !after.has('sha256');
  }

  const inOrder = (one, other) => one.get('tree') < other.get('tree')
    || (one.get('tree') === other.get('tree') && one.get('path') < other.get('path'));

  function checkCounts(found) {
    const changes = found.get('changes'), unlisted = found.get('unlisted'), what = `${WORKSPACE}: counts`;
    const counts = members(found.get('counts'), named(KINDS_OF_CHANGE, isCount), KINDS_OF_CHANGE, what), flagged = found.get('flagged');
    members(flagged, named(Object.keys(WEIGHTS), (value) => isCount(value) && value > 0), [], what);
    members(found.get('objects'), named(['added', 'deleted'], isCount), ['added', 'deleted'], what);
    const sum = [...counts.values()].reduce((one, other) => one + other, 0);
    need(sum === changes.length + unlisted, `${what} are not the changes'`);
    const listed = new Map();
    for (const change of changes) {
      for (const name of [`=${change.get('change')}`, ...change.get('flags')]) listed.set(name, (listed.get(name) ?? 0) + 1);
    }
    const all = [...[...counts].map(([name, value]) => [`=${name}`, value]), ...flagged];
    for (const [name, value] of all) {
      const rest = value - (listed.get(name) ?? 0);
      need(rest >= 0 && rest <= unlisted, `${what} of ${name}`);
      listed.delete(name);
    }
    need(listed.size === 0, `${what}: flags that are not counted`);
  }

  function checkUnread(found, trees) {
    const unread = found.get('unread'), gaps = found.get('gaps'), what = `${WORKSPACE}: unread`;
    members(unread, { count: isCount, places: Array.isArray }, ['count', 'places'], what);
    const places = unread.get('places');
    for (const place of places) {
      members(object(place, what), { tree: (value) => isCount(value) && value < trees, path: isSpelled }, ['tree', 'path'], what);
    }
    need(places.length === Math.min(unread.get('count'), MAX_UNREAD), `${what}: the count`);
    const raw = places.map((place) => new Map([['tree', place.get('tree')], ['path', bytesIn(place.get('path'))]]));
    need(raw.every((place, at) => !at || inOrder(raw[at - 1], place)), `${what}: the order`);
    need(gaps.every((gap, at) => Object.hasOwn(GAPS, gap) && (!at || gaps[at - 1] < gap)), `${WORKSPACE}: gaps`);
    need(gaps.includes('unread') === unread.get('count') > 0, `${WORKSPACE}: gaps and what was not read`);
  }

  function checkOutputs(outputs, policies) {
    const what = `${WORKSPACE}: outputs`, known = { given: Array.isArray, refused: Array.isArray, refused_count: isCount };
    members(outputs, known, Object.keys(known), what);
    const names = outputs.get('given').map((one) => members(object(one, what), HANDED, Object.keys(HANDED), what).get('name'));
    need(names.every((name, at) => !at || names[at - 1] < name), `${what}: the order`);
    const granted = policies.length > 0 && names.every((name) => policies.every((policy) => policy.outputs.includes(name)));
    need(granted || !names.length, `${what}: one that no policy grants`);
    const refused = outputs.get('refused');
    for (const one of refused) members(object(one, what), KEPT_BACK, Object.keys(KEPT_BACK), what);
    need(refused.length === Math.min(outputs.get('refused_count'), MAX_REFUSED), `${what}: the count of the refused`);
  }

  async function changed(state, close, data) {
    const said = close.get('workspace');
    members(said, { sha256: isDigest }, ['sha256'], 'boundary.json: workspace');
    need(said.get('sha256') === await sha256hex(data), `${WORKSPACE} is not the one in the record`);
    need(data[data.length - 1] === 10, `${WORKSPACE}: no newline at its end`);
    const found = parsed(data.subarray(0, -1), WORKSPACE, LONE, jcs);
    members(found, CHANGED, Object.keys(CHANGED).filter((name) => name !== 'outputs'), WORKSPACE);
    need(found.get('version') === 1, `${WORKSPACE}: another version`);
    const trees = found.get('trees'), changes = found.get('changes');
    for (const [at, tree] of trees.entries()) {
      members(object(tree, `${WORKSPACE}: tree`), TREE, Object.keys(TREE), `${WORKSPACE}: tree`);
      need(tree.get('kind') === (at ? 'bind' : 'workspace'), `${WORKSPACE}: a tree of another kind`);
    }
    const paths = new Set(trees.map((tree) => tree.get('path')));
    need(trees.length && paths.size === trees.length, `${WORKSPACE}: no tree, or one twice`);
    need(changes.length <= MAX_CHANGES_LISTED, `${WORKSPACE}: more changes than are listed`);
    const unhashed = changes.filter((change) => changeOf(change, trees.length)).length;
    need(unhashed === found.get('unhashed'), `${WORKSPACE}: the count of files without a digest`);
    need(changes.every((change, at) => !at || inOrder(changes[at - 1], change)), `${WORKSPACE}: the order of changes`);
    checkCounts(found);
    checkUnread(found, trees.length);
    if (found.has('outputs')) checkOutputs(found.get('outputs'), state.decisions ? state.decisions.policies : []);
    return found;
  }

  // The flagged changes, those first that weigh most.
  function notable(workspace) {
    const found = workspace.get('changes').filter((change) => change.get('flags').length).map((change) => {
      const tree = change.get('tree'), flags = change.get('flags'), top = workspace.get('trees')[tree].get('path');
      const path = tree ? `${top}/${change.get('path')}` : change.get('path');
      const weight = Math.min(...flags.map((flag) => WEIGHTS[flag]));
      return [weight, tree, path, change.get('change'), flags.join(', ')];
    });
    const before = (one, other, at) => (one[at] === other[at] ? at < 4 && before(one, other, at + 1) : one[at] < other[at]);
    return found.sort((one, other) => (before(one, other, 0) ? -1 : 1));
  }

  function changesTold(workspace) {
    const counts = workspace.get('counts'), objects = workspace.get('objects');
    const words = ['added', 'modified', 'deleted'].map((kind) => `${counts.get(kind)} ${kind}`);
    words.push(`${counts.get('mode')} of another mode`);
    const [added, deleted] = [objects.get('added'), objects.get('deleted')];
    if (added || deleted) words.push(`git objects: ${added} added, ${deleted} deleted`);
    return words.join(', ');
  }

  function changeLines(workspace) {
    const found = notable(workspace), unlisted = workspace.get('unlisted'), outputs = workspace.get('outputs');
    const lines = found.slice(0, MAX_LISTED).map(([, , path, kind, flags]) => `- ${plain(kind)} ${code(path)} (${plain(flags)})`);
    const more = [];
    if (found.length > lines.length) more.push(`and ${found.length - lines.length} more that are flagged, in workspace.json`);
    const each = [...workspace.get('flagged')].sort().map(([name, value]) => `${name} ${value}`).join(', ') || 'none';
    if (unlisted) more.push(`${unlisted} changes are counted, not listed; flags of all: ${each}`);
    if (workspace.get('unhashed')) more.push(`${workspace.get('unhashed')} of the listed files have no digest`);
    more.push(...workspace.get('gaps').map((gap) => GAPS[gap]));
    const given = (outputs?.get('given') ?? []).map((one) => one.get('name')).join(', ');
    if (given) more.push(`outputs handed on: ${given}`);
    if (outputs?.get('refused_count')) more.push(`outputs refused: ${outputs.get('refused_count')}`);
    lines.push(...more.map((one) => `- ${plain(one)}`));
    return lines.length ? ['', '## Workspace', '', ...lines] : [];
  }

  // ---- summary.md --------------------------------------------------------------------------------------------------

  // The command chose some of the words, so each is shortened and escaped: it can not add to the page.
  function short(value) {
    const found = String(value).replace(/[^ -~]/gu, '?');
    return found.length <= MAX_PAGE_TEXT ? found : `${found.slice(0, MAX_PAGE_TEXT)}...`;
  }

  const plain = (value) => short(value).replace(/[\\`*_{}[\]<>#|!&]/g, '\\$&');
  const code = (value) => `\`${short(value).replaceAll('`', "'")}\``;

  function commandOf(opened) {
    const command = opened.get('command') ?? '';
    // Arguments may hold secrets: the record has their number and a digest.
    if (isObject(command)) return `${code(command.get('name') ?? '?')} with ${plain(command.get('args') ?? '?')} arguments`;
    return code(Array.isArray(command) ? command.join(' ') : command);
  }

  function denialLines({ words: [target, reason, remedy], times }) {
    const often = times > 1 ? ` (${times} times)` : '', lines = [`- ${code(target)}${often}: ${plain(reason)}`];
    if (!remedy) return lines;
    const yaml = remedy.replace(/\n$/, '').split('\n').map((found) => `  ${short(found).replaceAll('```', '')}`);
    return [...lines, '', '  to allow it, add under `allow:`', '', '  ```yaml', ...yaml, '  ```', ''];
  }

  // The page that the run made of this record: it knew its own key.
  function pageOf(state, boundary, levels) {
    const opened = boundary.get('open'), run = boundary.get('close').get('run'), key = run.get('key');
    const { account, totals } = state, rungs = { ...levels, PINNED: [true, 'signed by a given key'] };
    const words = { [VERIFIED]: 'verified', [UNPROVEN]: 'a prefix whose end is not proven', [UNTRUSTED]: 'untrusted' };
    let verdict = words[verdictOf(rungs)], origin = key === 'given' ? ' (given from outside the run)' : '';
    if (key === 'ephemeral') {
      verdict = 'consistent with itself';
      rungs.PINNED = [false, 'the key was made for this run; give --key to pin one'];
      origin = ' (made for this run: the record is consistent with itself, not tied to anyone)';
    }
    const command = opened.get('command'), empty = !command || command.size === 0 || command.length === 0;
    const steps = opened.get('plan'), many = Array.isArray(steps) ? steps.length : 0;
    const listed = [...account.denials.values()].sort((one, other) => other.alarm - one.alarm || other.times - one.times
      || (one.words[0] < other.words[0] ? -1 : one.words[0] > other.words[0] ? 1 : 0));
    const hidden = listed.slice(MAX_LISTED).reduce((sum, { times }) => sum + times, account.unlisted);
    const doubts = reservations(boundary, account).map((one) => `- **${plain(one)}**`);
    return [
      '# sluicegate run', '', `Verification: **${verdict}**`, '',
      ...Object.entries(rungs).map(([name, [ok, why]]) => `- ${name}: ${ok ? 'yes' : 'no'} (${plain(why)})`), '',
      ...(empty ? [] : [`- command: ${commandOf(opened)}`]),
      ...(run.has('agent_exit_code') ? [`- exit code: ${plain(run.get('agent_exit_code'))}`] : []),
      `- tier: ${plain(opened.get('tier') ?? 'unknown')}`,
      `- policy: ${code(state.policy)}`,
      `- key: ${code(state.signer)}${origin}`,
      `- receipts: ${state.receipts} (lifecycle included), ${totals.get('allow')} allow, ${totals.get('block')} block, `
        + `${totals.get('warn')} warn`,
      `- connections: ${account.allowed} allowed, ${account.denied} denied`,
      `- dropped packets: ${account.dropped}`,
      `- DNS: ${account.questions} questions for ${account.names.size} names`,
      `- workspace: ${plain(changesTold(state.workspace))}`,
      ...(account.allowed || account.denied ? []
        : [`- 0 requests; the boundary was made in ${many} steps, each in boundary.json`]),
      ...(doubts.length ? ['', '## Reservations', '', ...doubts] : []),
      ...(listed.length ? ['', '## Denied', '', ...listed.slice(0, MAX_LISTED).flatMap(denialLines)] : []),
      ...(hidden ? [`- and ${hidden} more, in flows.jsonl`] : []),
      ...changeLines(state.workspace),
    ].join('\n') + '\n';
  }

  function closed(state) {
    if (state.torn) return [false, 'a file ends within a line: its writer died there, or it was cut'];
    if (!state.closed) return [false, 'no session_close: the record is a prefix, its end unknown'];
    if (!state.ended) return [false, 'no signed checkpoint over the root: the end is not proven'];
    if (state.unanswered) return [false, `${state.unanswered} allowed flows have no outcome`];
    return [true, `the end is signed: ${state.receipts} receipts, root ${state.root.slice(0, 16)}`];
  }

  // Whether nothing is unaccounted for.
  function accounted(state, boundary) {
    if (state.contradiction) return [false, state.contradiction];
    if (!state.ended) return [false, 'the kernel\'s counters at the end are not in the record'];
    // What was counted by other rules than those that were measured proves nothing.
    const change = disturbed(boundary, state.account);
    if (change) return [false, change];
    let found, claims;
    try {
      state.decisions.settle();
      state.decisions.heard(boundary.get('close'));
      found = solution(boundary, state.sums);
      claims = gateLines(boundary, state.sums);
    } catch (error) {
      state.contradicted(error);
      return [false, state.contradiction];
    }
    const { sums } = state, open = Object.entries(found.residual).filter(([, value]) => value).sort();
    const lines = open.map(([name, value]) => `${name}: ${withSign(value)}`);
    const missing = BigInt(sums.highest) - sums.flows;
    if (missing) lines.push(`connections without a receipt: ${missing}`);
    if (lines.length) return [false, `the kernel counted what the record does not hold: ${lines.join(', ')}`];
    if (claims.length) return [false, `the gate counted what the record does not hold: ${claims.join(', ')}`];
    return [true, `every connection decided again, residual 0: ${found.derived.accepted} connections, `
      + `${sums.udp} questions, ${sums.drops} refused packets`];
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
    try {
      const state = await checked(files);
      const levels = {
        INTACT: [true, `${state.receipts} receipts, every line reproduces`],
        CLOSED: closed(state),
        ACCOUNTED: accounted(state, state.measured),
        PINNED: pinned(state, keys),
      };
      if (state.contradiction) return report(INVALID, levels, state);
      const page = state.ended && bytesOf(pageOf(state, state.measured, levels));
      need(!page || same(page, files.get('summary.md')), 'summary.md says other things than the record');
      return report(verdictOf(levels), levels, state);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const why = [false, error.message];
      return report(INVALID, { INTACT: why, CLOSED: why, ACCOUNTED: why, PINNED: why });
    }
  }

  // An end that is not proven weighs more than an account that is open or a signer that is not trusted.
  function verdictOf({ CLOSED, ACCOUNTED, PINNED }) {
    if (!CLOSED[0]) return UNPROVEN;
    return ACCOUNTED[0] && PINNED[0] ? VERIFIED : UNTRUSTED;
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
    [UNTRUSTED]: 'sound, but not accounted for, or its signer is not pinned',
  };

  // The report as lines for people, the verdict first.
  function asText({ outcome, levels }) {
    const rung = ([level, { reached, reason }]) => `${level}: ${reached ? 'yes' : 'no'} (${reason})`;
    return [`${WORDS[outcome]} (exit ${outcome})`, ...Object.entries(levels).map(rung)].join('\n');
  }

  // What decides, for those who compare it with another's.
  const parts = {
    readPolicies, relaxed, decide, preliminary, opens, openedBy, Decisions, admitted, answered, isHost, address, isAddress, internal, normalPath,
    globMatches, solved,
  };
  return { verifyPacket, readKey, asText, provide, parts, RECORD, FINISHED, USAGE };
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
