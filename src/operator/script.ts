/**
 * The page's script. It follows the events, and requests the page again at most once a second and
 * at least every ten seconds. It then replaces the parts that changed. The server does all
 * rendering.
 */
export const SCRIPT_PATH = '/operator/live.js';
/** A stream of server-sent events that say no more than that something happened. */
export const CHANGES_PATH = '/operator/changes';

export const SCRIPT = `'use strict';
(() => {
  const LEAST_MS = 1000, IDLE_MS = 10000;
  // Contact is lost when nothing has come for this long.
  const LOST_MS = 3000;
  const live = document.getElementById('live');
  const lost = document.querySelector('section.lost');
  const filter = document.getElementById('filter');
  const pause = document.getElementById('pause');
  let touched = false;
  let lostTimer, seenAt = new Date(), source;
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
  function contact(isThere) {
    say(isThere ? 'live' : 'paused');
    if (!isThere) { lostTimer ??= setTimeout(showLost, LOST_MS); return; }
    clearTimeout(lostTimer);
    lostTimer = undefined;
    seenAt = new Date();
    lost.hidden = true;
    document.body.classList.remove('lost');
  }
  function showLost() {
    const since = lost.querySelector('time');
    since.dateTime = seenAt.toISOString();
    lost.hidden = false;
    document.body.classList.add('lost');
    localTimes();
  }
  function applyFilter() {
    // The server has applied its own filter, which also knows ids.
    if (filter.value === filter.defaultValue && !touched) return;
    touched = true;
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const details = document.querySelector('[data-part=posts] details');
    if (details && words.length > 0) details.open = true;
    for (const row of document.querySelectorAll('[data-part=posts] tbody tr')) {
      const titles = [...row.querySelectorAll('[title]')].map((one) => one.title);
      const text = [row.textContent, ...titles].join(' ').toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  }
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true; again = false; lastAt = Date.now();
    try {
      // Not relative: an address in which the key stood is none to fetch from.
      const answer = await fetch(location.origin + '/' + location.search, { headers: { accept: 'text/html' }, cache: 'no-store', signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(answer.status);
      contact(true);
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const part of document.querySelectorAll('[data-part]')) {
        if (pause.ariaPressed === 'true' && part.dataset.part !== 'status') continue;
        const fresh = next.querySelector('[data-part=' + part.dataset.part + ']');
        if (fresh && fresh.outerHTML !== part.drawn && !part.contains(document.getSelection()?.isCollapsed === false ? document.getSelection().anchorNode : null)) {
          const drawn = fresh.outerHTML;
          const node = document.adoptNode(fresh);
          node.drawn = drawn;
          if (part.querySelector('details')?.open && node.querySelector('details')) node.querySelector('details').open = true;
          part.replaceWith(node);
        }
      }
      localTimes();
      applyFilter();
    } catch { contact(false); /* The next event, or the clock, tries again. */ }
    busy = false;
    plan(again || lostTimer !== undefined ? LEAST_MS : IDLE_MS);
  }
  function plan(inMs) {
    clearTimeout(timer);
    timer = setTimeout(refresh, inMs);
  }
  function soon() {
    plan(Math.max(60, lastAt + LEAST_MS - Date.now()));
  }
  function listen() {
    source = new EventSource('${CHANGES_PATH}');
    source.onopen = () => { contact(true); soon(); };
    source.onerror = () => {
      contact(false);
      soon();
      // A browser gives up for good after an answer that is not a stream.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, LOST_MS);
    };
    source.onmessage = soon;
  }
  listen();
  addEventListener('pagehide', () => source.close());
  filter.addEventListener('input', applyFilter);
  pause.addEventListener('click', () => {
    pause.ariaPressed = String(pause.ariaPressed !== 'true');
    pause.textContent = pause.dataset[pause.ariaPressed === 'true' ? 'resume' : 'pause'];
    if (pause.ariaPressed === 'false') soon();
  });
  pause.hidden = false;
  localTimes();
  plan(IDLE_MS);
})();
`;
