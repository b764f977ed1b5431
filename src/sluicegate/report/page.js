// The page's own check: the packet that it carries, read again by the second verifier, against what the page says.
// Everything is shown as text. Nothing is loaded and nothing is sent; the page's policy would not let it.
'use strict';

(() => {
  const at = (id) => document.getElementById(id);
  const state = at('state'), levels = at('levels'), form = at('again'), alarm = at('alarm');

  const element = (name, text, kind) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  const say = (text, kind) => {
    state.textContent = text;
    state.className = `state ${kind}`;
  };

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  const embedded = () => new Map(Array.from(document.querySelectorAll('script[data-name]'),
    (block) => [block.dataset.name, bytes(block.textContent)]));

  // What the page claims of each level, from its ladder.
  const claimed = () => new Map(Array.from(document.querySelectorAll('[data-level]'),
    (rung) => [rung.dataset.level, rung.dataset.reached === 'true']));

  const shown = (report) => {
    const lines = Object.entries(report.levels).map(([level, { reached, reason }]) => {
      const line = element('li', '');
      line.append(element('strong', level), ' ', element('span', reached ? 'reached' : 'not reached',
        `badge ${reached ? 'good' : level === 'PINNED' ? 'warn' : 'bad'}`), ` ${reason}`);
      return line;
    });
    // Read from the packet, not from the page: whoever changed a number above did not change this one.
    const { allow, block, warn } = report.totals;
    const counts = `${report.receipts} receipts: ${allow} allow, ${block} block, ${warn} warn`;
    if (report.receipts) lines.push(element('li', `The packet holds ${counts}; signed by ${report.signer_key}; root ${report.root}`));
    levels.replaceChildren(...lines);
    levels.hidden = false;
  };

  // Which level the page claims and the check does not find. Without a key of the reader's, PINNED is not comparable.
  const denied = (report) => {
    const found = [];
    for (const [level, says] of claimed()) {
      if (level !== 'PINNED' && says !== report.levels[level].reached) found.push(level);
    }
    return found;
  };

  const judge = (report, keys) => {
    shown(report);
    const differ = denied(report);
    alarm.hidden = differ.length === 0;
    if (differ.length) {
      alarm.textContent = `Do not believe this page: the packet in it does not give what it says of ${differ.join(', ')}.`;
    }
    const sound = ['INTACT', 'CLOSED', 'ACCOUNTED'].every((level) => report.levels[level].reached);
    if (differ.length) say('The check contradicts this page.', 'bad');
    else if (!sound) say('Checked again: the record is not whole, as the page says.', 'bad');
    else if (report.levels.PINNED.reached) say('Checked again: it holds, and the key that you gave signed it.', 'good');
    else if (keys.length) say('Checked again: it holds, but the key that you gave did not sign it.', 'bad');
    else say('Checked again: it holds together. Whose key signed it, only a key from elsewhere can tell.', 'good');
  };

  const check = async (keys) => {
    say('Checking\u2026', '');
    try {
      const report = await sluicegate.verifyPacket(embedded(), keys);
      judge(report, keys);
    } catch (error) {
      levels.hidden = true;
      say(`This browser can not check it: ${error.message}. The commands below can.`, 'warn');
    }
    document.documentElement.dataset.checked = 'true';
  };

  const pinned = () => {
    const text = at('pin').value.trim();
    const key = text ? sluicegate.readKey(text) : null;
    if (text && !key) {
      say('That is no public key: it has 64 hexadecimal digits.', 'bad');
      return;
    }
    check(key ? [key] : []);
  };

  // A button at each block of lines that somebody would copy.
  for (const block of document.querySelectorAll('pre.copy')) {
    const holder = element('div', '', 'copied'), button = element('button', 'Copy');
    button.type = 'button';
    button.setAttribute('aria-label', `Copy: ${block.getAttribute('aria-label')}`);
    block.replaceWith(holder);
    holder.append(block, button);
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(block);
        button.textContent = 'Selected';
      }
    });
  }

  if (!form) return;
  form.hidden = false;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    pinned();
  });
  // After the page is shown: a large packet takes seconds.
  addEventListener('load', () => setTimeout(() => check([])));
})();
