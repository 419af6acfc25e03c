/**
 * The page's own script. It hears that something happened, asks for the page again (at most once a second, and every ten
 * seconds anyway), and puts the parts that changed in place. All drawing stays with the server.
 */
export const SCRIPT_PATH = '/operator/live.js';
/** A stream of server-sent events that say no more than that something happened. */
export const CHANGES_PATH = '/operator/changes';

export const SCRIPT = `'use strict';
(() => {
  const LEAST_MS = 1000, IDLE_MS = 10000;
  const live = document.getElementById('live');
  let timer, lastAt = 0, busy = false, again = false;

  function localTimes() {
    document.querySelector('.utc')?.remove();
    for (const time of document.querySelectorAll('time')) {
      const at = new Date(time.dateTime);
      time.textContent = at.toLocaleTimeString(document.documentElement.lang, { hour12: false });
      time.title = at.toLocaleString(document.documentElement.lang);
    }
  }
  function say(state) {
    live.textContent = document.body.dataset[state];
    live.className = 'live ' + (state === 'live' ? 'on' : 'off');
  }
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true; again = false; lastAt = Date.now();
    try {
      // Not relative: an address in which the key stood is none to fetch from.
      const answer = await fetch(location.origin + '/', { headers: { accept: 'text/html' }, cache: 'no-store' });
      if (!answer.ok) throw new Error(answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const part of document.querySelectorAll('[data-part]')) {
        const fresh = next.querySelector('[data-part=' + part.dataset.part + ']');
        if (fresh && fresh.outerHTML !== part.drawn && !part.contains(document.getSelection()?.isCollapsed === false ? document.getSelection().anchorNode : null)) {
          const drawn = fresh.outerHTML;
          const node = document.adoptNode(fresh);
          node.drawn = drawn;
          part.replaceWith(node);
        }
      }
      localTimes();
    } catch { /* The next event, or the clock, tries again. */ }
    busy = false;
    plan(again ? LEAST_MS : IDLE_MS);
  }
  function plan(inMs) {
    clearTimeout(timer);
    timer = setTimeout(refresh, inMs);
  }
  function soon() {
    plan(Math.max(60, lastAt + LEAST_MS - Date.now()));
  }
  const source = new EventSource('${CHANGES_PATH}');
  source.onopen = () => { say('live'); soon(); };
  source.onerror = () => say('paused');
  source.onmessage = soon;
  addEventListener('pagehide', () => source.close());
  localTimes();
  plan(IDLE_MS);
})();
`;
