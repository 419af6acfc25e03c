/** The tables of the operator page. On a narrow screen each row becomes a card with headings in its cells. */
import type { PostOutcome } from '../observability/event.ts';
import type { RecentPost } from '../observability/recent-posts.ts';
import { CORRELATORS, type Correlators } from '../token.ts';
import { durationText } from './durations.ts';
import { type Html, html } from './html.ts';
import type { OutcomeText, Texts } from './texts/en.ts';
import type { View } from './view.ts';

/** An empty cell; a card leaves it out. */
const VOID = html`<span class="quiet">–</span>`;

export function postsSection(view: View, t: Texts): Html {
  const { posts, merchants, instances, filter } = view;
  const showMerchant = merchants.length > 1 && view.only === undefined;
  const showInstance = instances.length > 1;
  const headings = [
    t.posts.at,
    ...(showMerchant ? [t.posts.merchant] : []),
    t.posts.kind,
    t.posts.correlators,
    t.posts.fingerprint,
    t.posts.from,
    t.posts.outcome,
  ];
  const rows = posts.map((post) => {
    const from = html`<span class="mono from">${post.from}</span>${showInstance && html` <small>${t.posts.via(post.instance)}</small>`}`;
    return [
      time(post.receivedAt),
      ...(showMerchant ? [html`${post.merchant}`] : []),
      post.kind === undefined ? VOID : html`<span class="kind k-${post.kind}">${post.kind}</span>`,
      correlatorsOf(post, t),
      post.fingerprint === undefined
        ? VOID
        : html`<a class="mono" href="/?q=${post.fingerprint}">${post.fingerprint}</a>`,
      from,
      outcomeOf(post, t),
    ];
  });
  const earlier = rows.slice(POSTS_AT_FIRST);
  return html`<section id="posts" aria-labelledby="posts-title" tabindex="-1">
<div class="bar"><h2 id="posts-title">${t.posts.title}</h2>
<form id="tools" action="/" method="get"><label>${t.posts.filter} <input id="filter" name="q" type="search" maxlength="128" value="${filter}" placeholder="${t.posts.filterHint}" autocomplete="off"></label>${filter !== '' && html` <a href="/">${t.posts.all}</a>`}
<button id="pause" type="button" hidden aria-pressed="false" data-pause="${t.posts.pause}" data-resume="${t.posts.resume}">${t.posts.pause}</button></form></div>
<div data-part="posts">
${table('posts-title', headings, rows.slice(0, POSTS_AT_FIRST), filter === '' ? t.posts.none : t.posts.noneFound)}
${earlier.length > 0 && html`<details><summary>${t.posts.more(earlier.length)}</summary>${table('posts-title', headings, earlier, '')}</details>`}
</div>
</section>`;
}

const POSTS_AT_FIRST = 15;
const SHOWN_CHARS = 24;

/** Shortens a long value in the middle: its ends distinguish it from others. */
function value(text: string): Html {
  if (text.length <= SHOWN_CHARS) return html`<span class="mono">${text}</span>`;
  return html`<span class="mono" title="${text}">${text.slice(0, 12)}…${text.slice(-8)}</span>`;
}

function correlatorsOf({ correlators, kind, dropped }: RecentPost, t: Texts): Html {
  const shown = CORRELATORS.filter((name) => correlators[name] !== undefined);
  if (kind === undefined) return VOID;
  if (shown.length === 0) {
    return html`<span class="quiet">${dropped === undefined ? t.posts.pool : t.posts.unselectable}</span>`;
  }
  return html`<ul class="plain">${shown.map((name) => correlator(name, correlators))}</ul>`;
}

function correlator(name: keyof Correlators, correlators: Correlators): Html {
  return html`<li><small>${name}</small> ${value(correlators[name] ?? '')}</li>`;
}

const GRAVE: ReadonlySet<string> = new Set<PostOutcome>(['failed', 'late']);
const FINE: ReadonlySet<string> = new Set<PostOutcome>(['kept', 'known', 'deferred']);

function outcomeOf(post: RecentPost, t: Texts): Html {
  const { became, handedOverAfterMs } = post;
  const outcome = post.reason ?? post.outcome;
  const { label, advice } = textOfOutcome(outcome, t);
  const after = handedOverAfterMs === undefined ? '' : ` ${t.posts.after(durationText(handedOverAfterMs, t.lang))}`;
  const mood = GRAVE.has(outcome) || became === 'orphan' ? 'bad' : FINE.has(outcome) ? 'fine' : 'warn';
  const fate = became === undefined ? undefined : `${t.became[became]}${after}`;
  const first = outcome === 'kept' && fate !== undefined ? fate : label;
  return html`<span class="tag ${became === 'waiting' ? 'open' : mood}">${first}</span>${
    outcome !== 'kept' && fate !== undefined && html` <span>${fate}</span>`
  }${advice !== undefined && html`<p class="advice">${advice}</p>`}${unreadOf(post, t)}`;
}

/** A newer instance may send outcomes that have no text here. */
function textOfOutcome(outcome: string, t: Texts): OutcomeText {
  const texts: Readonly<Record<string, OutcomeText | undefined>> = t.outcomes;
  return texts[outcome] ?? { label: outcome };
}

/** Lists the unread parts of a post, by name. */
function unreadOf({ dropped = [], contentType, contentEncoding }: RecentPost, t: Texts): Html | undefined {
  const parts = [
    ...(dropped.length === 0 ? [] : [t.posts.dropped(dropped.join(', '))]),
    ...(contentType === undefined ? [] : [t.posts.contentType(contentType)]),
    ...(contentEncoding === undefined ? [] : [t.posts.contentEncoding(contentEncoding)]),
  ];
  return parts.length === 0 ? undefined : html`<p class="advice mono">${parts.join(' · ')}</p>`;
}

/** Renders the life of the wanted token, by its fingerprint or id. */
export function lifeSection({ life, filter, instances, merchants, only }: View, t: Texts): Html {
  if (life.length === 0) return html`<div data-part="life"></div>`;
  const showMerchant = merchants.length > 1 && only === undefined;
  const rows = life.map(({ at, what, claimId, merchant, instance }) => [
    time(at),
    html`${'post' in what ? `${t.life.posted}: ${textOfOutcome(what.post, t).label}` : t.became[what.became]}${
      claimId !== undefined && html` <small class="inline">${t.life.claim}</small> ${value(claimId)}`
    }${showMerchant && html` <small>${merchant}</small>`}${instances.length > 1 && html` <small>${t.posts.via(instance)}</small>`}`,
  ]);
  return html`<section data-part="life" aria-labelledby="life">
<h2 id="life">${t.life.title} ${value(filter)}</h2>
${table('life', [t.posts.at, t.life.what], rows, '')}
</section>`;
}

/** Shown if the service asks Carat for recharges. */
export function rechargesSection({ owed, recharges, merchants, only }: View, t: Texts): Html {
  if (owed === undefined) return html`<div data-part="recharges"></div>`;
  const showMerchant = merchants.length > 1 && only === undefined;
  const rows = recharges.map(({ at, what, by, merchantUsn, merchant }) => [
    html`<small class="inline">merchant_usn</small> ${value(merchantUsn)}${showMerchant && html` <small>${merchant}</small>`}`,
    html`<span class="tag ${by === 'guard' ? 'warn' : 'fine'}">${t.recharges.ends[what]}</span>${by === 'guard' && what !== 'guard_undo' && html` <small>${t.recharges.byGuard}</small>`}`,
    time(at),
  ]);
  return html`<section data-part="recharges" aria-labelledby="recharges">
<h2 id="recharges">${t.recharges.title} <span class="count">${owed}</span></h2>
<p class="quiet">${t.recharges.why}</p>
${table('recharges', [t.expected.what, t.posts.outcome, t.expected.at], rows, t.recharges.none)}
</section>`;
}

/** Empty if nothing was refused. */
export function doorsSection({ doors }: View, t: Texts): Html {
  if (doors.length === 0) return html`<div data-part="doors"></div>`;
  const rows = doors.map(({ door, merchant, count, lastAt }) => [
    html`${t.doors.labels[door].label}${merchant !== undefined && html` <small>${merchant}</small>`}<p class="advice">${t.doors.labels[door].advice}</p>`,
    html`${count}`,
    time(lastAt),
  ]);
  return html`<section data-part="doors" aria-labelledby="doors">
<h2 id="doors">${t.doors.title}</h2>
${table('doors', [t.doors.what, t.doors.count, t.doors.last], rows, '')}
</section>`;
}

export function waitingSection({ waiting, now, merchants, only }: View, t: Texts): Html {
  const showMerchant = merchants.length > 1 && only === undefined;
  const rows = waiting.first.map(({ merchant, topic, since }) => [
    html`${topicOf(topic, t)}${showMerchant && html` <small>${merchant}</small>`}`,
    html`${durationText(now - since, t.lang)}`,
  ]);
  const more = waiting.count - waiting.first.length;
  return html`<section data-part="waiting" aria-labelledby="waiting">
<h2 id="waiting">${t.waiting.title} <span class="count">${waiting.count}</span></h2>
${table('waiting', [t.waiting.topic, t.waiting.since], rows, t.waiting.none)}
${more > 0 && html`<p class="quiet">${t.waiting.more(more)}</p>`}
</section>`;
}

/** A topic is a correlator with its value, or the pool of a kind. */
function topicOf(topic: string, t: Texts): Html {
  const [name = '', is = ''] = topic.split(/=(.*)/s);
  return name === 'pool' ? html`${t.waiting.pool(is)}` : html`<small class="inline">${name}</small> ${value(is)}`;
}

export function expectedSection({ expected, noShows, orphans, recent, merchants, only }: View, t: Texts): Html {
  const showMerchant = merchants.length > 1 && only === undefined;
  const e = t.expected;
  const what = (kind: string, name: Html, merchant: string): Html =>
    html`<span class="kind k-${kind}">${kind}</span> ${name}${showMerchant && html` <small>${merchant}</small>`}`;
  const named = (topic: string | undefined, id: string): Html => (topic === undefined ? value(id) : topicOf(topic, t));
  const orphaned = ({ correlators, fingerprint = '' }: View['orphans'][number]): Html => {
    const topics = CORRELATORS.filter((name) => correlators[name] !== undefined).map(
      (name) => `${name}=${correlators[name]}`,
    );
    return html`<span class="mono">${fingerprint}</span> ${topics.map((topic) => html`${topicOf(topic, t)} `)}`;
  };
  return html`<section data-part="expected" aria-labelledby="expected">
<h2 id="expected">${e.title} <span class="count">${expected.length}</span></h2>
${table(
  'expected',
  [e.what, e.until],
  expected.map(({ kind, topic, id, merchant, at }) => [what(kind, named(topic, id), merchant), time(at)]),
  e.none,
)}
<h3 id="no-shows">${e.noShows} <span class="count">${recent.noShows} · ${t.facts.recent(recent.minutes)}</span></h3>
${noShows.length > 0 && html`<p class="quiet">${e.noShowsWhy}</p>`}
${table(
  'no-shows',
  [e.what, e.at],
  noShows.map(({ kind, topic, id, merchant, at }) => [what(kind, named(topic, id), merchant), time(at)]),
  e.noNoShows,
)}
<h3 id="orphans">${e.orphans} <span class="count">${recent.orphans} · ${t.facts.recent(recent.minutes)}</span></h3>
${orphans.length > 0 && html`<p class="quiet">${e.orphansWhy}</p>`}
${table(
  'orphans',
  [e.what, e.at],
  orphans.map((orphan) => [what(orphan.kind, orphaned(orphan), orphan.merchant), time(orphan.at)]),
  e.noOrphans,
)}
</section>`;
}

export function instancesSection({ instances, now }: View, t: Texts): Html {
  const { title, name, self, started } = t.instances;
  const rows = instances.map((instance) => [
    html`<span class="mono">${instance.name}</span>${instance.self && html` <small>${self}</small>`}`,
    html`${t.facts.states[instance.store]}`,
    html`${instance.waiters}`,
    html`${durationText(now - instance.startedAt, t.lang)}`,
    html`${instance.version}`,
  ]);
  const headings = [name, t.facts.store, t.facts.waiting, started, t.facts.version];
  return html`<section data-part="instances" aria-labelledby="instances">
<h2 id="instances">${title} <span class="count">${instances.length}</span></h2>
${table('instances', headings, rows, '')}
</section>`;
}

/** UTC; the script shows it in the reader's own time. */
function time(at: number): Html {
  const text = new Date(at).toISOString();
  return html`<time datetime="${text}">${text.slice(11, 19)}</time>`;
}

/** States roles explicitly: not every browser treats a row that is shown as a card as a row. */
function table(labelledBy: string, headings: readonly string[], rows: readonly Html[][], none: string): Html {
  if (rows.length === 0) return html`<p class="none">${none}</p>`;
  return html`<table role="table" aria-labelledby="${labelledBy}">
<thead role="rowgroup"><tr role="row">${headings.map((heading) => html`<th role="columnheader" scope="col">${heading}</th>`)}</tr></thead>
<tbody role="rowgroup">
${rows.map(
  (cells) =>
    html`<tr role="row">${cells.map((cell, at) => html`<td role="cell"${cell === VOID && html` class="void"`} data-label="${headings[at]}"><div>${cell}</div></td>`)}</tr>
`,
)}</tbody></table>`;
}
