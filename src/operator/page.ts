/** The operator page: frame, status, plots, and first steps for an empty page. */
import { durationText, numberText } from './durations.ts';
import { Html, html } from './html.ts';
import { handoverPlot, postsPlot, quantileText, spanOf, waitersPlot } from './plots.ts';
import { SCRIPT_PATH } from './script.ts';
import {
  doorsSection,
  expectedSection,
  instancesSection,
  lifeSection,
  postsSection,
  rechargesSection,
  waitingSection,
} from './sections.ts';
import { STYLE } from './style.ts';
import type { Texts } from './texts/en.ts';
import { SERIES, type View } from './view.ts';

/** The icon: a dot in the colour of the service's status. Without an icon, browsers request one. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='%230f8a6d'/%3E%3C/svg%3E";

/** The live script replaces each element with `data-part` by the server's next rendering. */
export function renderPage(view: View, t: Texts): string {
  return html`<!doctype html>
<html lang="${t.lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${t.title} · carat-authenticity</title>
<link rel="icon" href="${new Html(ICON)}">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<style>${new Html(STYLE)}</style>
<script src="${SCRIPT_PATH}" defer></script>
</head>
<body data-live="${t.live.live}" data-paused="${t.live.paused}">
<a class="skip" href="#posts">${t.skip}</a>
<header class="top">
<p class="name">carat-authenticity</p>
<h1>${t.title}</h1>
<p class="live" id="live"><noscript>${t.live.still}</noscript></p>
</header>
<main>
${lostSection(t)}
${statusSection(view, t)}
${view.posts.length === 0 && view.filter === '' ? helpSection(view, t) : html`<div data-part="help"></div>`}
<div class="columns">
<div>${waitingSection(view, t)}
${rechargesSection(view, t)}
${instancesSection(view, t)}</div>
${expectedSection(view, t)}
</div>
${lifeSection(view, t)}
${postsSection(view, t)}
${doorsSection(view, t)}
${plotsSection(view, t)}
</main>
<footer>
<p>${t.footer.secrets} <span class="utc">${t.timesUtc}</span></p>
<nav aria-label="API"><a href="/metrics">${t.footer.metrics}</a> <a href="/v1/posts">${t.footer.postsJson}</a> <a href="/readyz">${t.footer.ready}</a> <a href="/docs">${t.footer.docs}</a></nav>
</footer>
</body>
</html>
`.text;
}

/** Shown by the script in place of the status, which is out of date without contact. */
function lostSection(t: Texts): Html {
  return html`<section class="status bad lost" role="alert" aria-labelledby="lost" hidden>
<div><h2 id="lost"><span class="dot" aria-hidden="true"></span>${t.status.lost}</h2>
<p>${t.status.lostWhy} <time></time></p></div>
</section>`;
}

function statusSection(view: View, t: Texts): Html {
  const { mood, title, why } = statusOf(view, t);
  const { health, waiting, instances, now } = view;
  const self = instances.find((instance) => instance.self);
  const { fallback } = health;
  return html`<section class="status ${mood}" data-part="status" aria-labelledby="status">
<div role="status"><h2 id="status"><span class="dot" aria-hidden="true"></span>${title}</h2>
<p>${why}</p>${view.only !== undefined && html`<p class="quiet">${t.only(view.only)}</p>`}</div>
<dl>
${fact(t.facts.store, `${t.facts.stores[health.kind]} · ${t.facts.states[health.state]}`)}
${view.only === undefined && fact(t.facts.fallback, fallback === undefined ? t.facts.noFallback : t.facts.pending(fallback.pending))}
${fact(t.facts.waiting, `${numberText(waiting.count, t.lang)} ${t.facts.of} ${numberText(waiting.max, t.lang)}`)}
${fact(t.facts.instances, numberText(instances.length, t.lang))}
${fact(t.facts.uptime, durationText(now - (self?.startedAt ?? now), t.lang))}
${fact(t.facts.version, self?.version ?? '')}
</dl>
${recentFacts(view, t)}
</section>`;
}

function recentFacts({ recent, owed }: View, t: Texts): Html {
  const count = (name: 'failed' | 'noShows' | 'orphans' | 'unusable'): Html => {
    const mood = recent[name] === 0 ? 'none' : name === 'failed' ? 'bad' : 'warn';
    return html`<div class="${mood}"><dt>${t.facts[name]}</dt><dd>${numberText(recent[name], t.lang)}</dd></div>`;
  };
  return html`<dl class="recent"><div class="span"><dt>${t.facts.recent(recent.minutes)}</dt></div>
${[count('failed'), count('noShows'), count('orphans'), count('unusable')]}
<div class="${recent.doors === 0 ? 'none' : 'some'}"><dt>${t.facts.doors}</dt><dd>${numberText(recent.doors, t.lang)}</dd></div>
${owed !== undefined && fact(t.facts.owed, numberText(owed, t.lang))}</dl>`;
}

function fact(name: string, value: string): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

function statusOf({ health, stopping, waiting, recent }: View, t: Texts): { mood: string; title: string; why: string } {
  const s = t.status;
  if (stopping) return { mood: 'warn', title: s.stopping, why: s.stoppingWhy };
  if (health.state === 'away') return { mood: 'bad', title: s.away, why: s.awayWhy };
  if (health.state === 'degraded') return { mood: 'bad', title: s.degraded, why: s.diskWhy };
  const counted = (['failed', 'noShows', 'orphans', 'unusable'] as const)
    .filter((name) => recent[name] > 0)
    .map((name) => s.counts[name](recent[name]));
  const recentWhy = s.recentWhy(recent.minutes, counted);
  if (recent.failed > 0) return { mood: 'bad', title: s.failed, why: recentWhy };
  if (health.fallback?.state === 'merging') return { mood: 'warn', title: s.ok, why: s.mergingWhy };
  if (waiting.count >= waiting.max) return { mood: 'warn', title: s.degraded, why: s.fullWhy };
  if (counted.length > 0) return { mood: 'warn', title: s.degraded, why: recentWhy };
  return { mood: 'good', title: s.ok, why: s.okWhy };
}

function helpSection({ authenticityUrl, workerUrl, needsKey, only }: View, t: Texts): Html {
  const url = authenticityUrl.replace('YOUR-PATH', t.help.yourPath);
  const key = needsKey ? "-H 'Authorization: Bearer KEY' " : '';
  const merchant = only === undefined || only === 'default' ? '' : `&merchant=${only}`;
  return html`<section class="help" data-part="help" aria-labelledby="help">
<h2 id="help">${t.help.title}</h2>
<p>${t.help.intro}</p>
<ol>
<li><strong>${t.help.send}</strong> ${t.help.sendWhy}
<pre tabindex="0"><code>curl -d 'seid=first&amp;merchant_data=14114532781' ${url}</code></pre></li>
<li><strong>${t.help.read}</strong> ${t.help.readWhy}
<pre tabindex="0"><code>curl ${key}'${workerUrl}/v1/tokens?merchant_data=14114532781${merchant}'</code></pre></li>
<li><strong>${t.help.register}</strong> ${t.help.registerWhy}</li>
</ol>
</section>`;
}

function plotsSection({ minutes, handovers }: View, t: Texts): Html {
  const all = minutes.reduce((sum, { posts }) => sum + SERIES.reduce((of, name) => of + posts[name], 0), 0);
  const handed = handovers.reduce((sum, count) => sum + count, 0);
  const last = minutes.at(-1);
  const legend = SERIES.map((name) => html`<li><span class="key k-${name}"></span>${t.series[name]}</li>`);
  return html`<div class="plots" data-part="plots">
<figure class="wide"><figcaption><strong>${t.plots.posts}</strong> <span>${t.plots.postsWhy(all, spanOf(minutes, t))}</span></figcaption>
${postsPlot(minutes, t)}
<ul class="legend">${legend}</ul></figure>
<figure><figcaption><strong>${t.plots.handover}</strong> <span>${handed === 0 ? t.plots.handoverNone : t.plots.handoverWhy(handed)}</span></figcaption>
${handoverPlot(handovers, t)}
<ul class="legend"><li>${t.plots.median} <b>${quantileText(handovers, 0.5, t)}</b></li><li>${t.plots.p95} <b>${quantileText(handovers, 0.95, t)}</b></li></ul></figure>
<figure><figcaption><strong>${t.plots.waiters}</strong> <span>${t.plots.waitersWhy}</span></figcaption>
${waitersPlot(minutes, t)}
<ul class="legend"><li><span class="key k-waiters"></span>${t.plots.waitersNow} <b>${last?.waiters ?? 0}</b></li><li><span class="key k-pending"></span>${t.plots.pendingNow} <b>${last?.pending ?? 0}</b></li></ul></figure>
</div>`;
}
