import type { Door } from '../../observability/doors.ts';
import type { PostOutcome } from '../../observability/event.ts';
import type { TokenStatus } from '../../observability/recent-posts.ts';
import type { Series } from '../view.ts';

/** The label of an outcome, and advice if action is useful. */
export interface OutcomeText {
  label: string;
  advice?: string;
}

const outcomes: Record<PostOutcome, OutcomeText> = {
  kept: { label: 'kept' },
  known: { label: 'repeated', advice: 'The same token came before. Nothing changed, and nothing has to be done.' },
  deferred: {
    label: 'kept, verdict put off',
    advice: 'Whether it was expected is decided as soon as Redis is back.',
  },
  unexpected: {
    label: 'unexpected',
    advice:
      'Nobody had announced it, and ACCEPT=expected. Announce it before you ask Carat; or somebody knows your URL.',
  },
  late: { label: 'kept late', advice: 'The store took longer than Carat may wait. Look at the store and its disk.' },
  failed: { label: 'not kept', advice: 'The store failed. The log has the reason; ask Carat for a new token.' },
  empty: { label: 'empty', advice: 'A body was missing: a probe, or a proxy that drops bodies or redirects the post.' },
  not_a_form: {
    label: 'not a form',
    advice: 'Expected application/x-www-form-urlencoded. Does a proxy rewrite or compress the body?',
  },
  no_token: { label: 'no token', advice: 'A form without seid, nit or token: a test, or a post for another URL.' },
  bad_value: {
    label: 'malformed value',
    advice: 'Expected 1 to 128 printable characters. Carat sends none like this; see where it came from.',
  },
  several_tokens: {
    label: 'several tokens',
    advice: 'A post has one token. Carat sends none like this; see where it came from.',
  },
  status_notification: {
    label: 'status notification',
    advice: "Carat's status URL points here. Have support register another address for status notifications.",
  },
  too_large: { label: 'too large', advice: 'Over 16 KiB. Carat sends none like this; see where it came from.' },
  not_allowed: {
    label: 'sender not allowed',
    advice: 'Not in ALLOWED_SOURCES. If it was Carat: add the address, or name your proxy in TRUSTED_PROXIES.',
  },
  not_post: {
    label: 'not a POST',
    advice: 'A browser, a probe, or a redirect on the way that turned the post into a GET.',
  },
  cut_off: {
    label: 'cut off',
    advice: 'The body ended before its length, or did not end. Check the proxy in front and its limits.',
  },
};

const became: Record<TokenStatus, string> = {
  waiting: 'waits for a worker',
  read: 'read',
  claimed: 'claimed',
  released: 'put back',
  used: 'used',
  orphan: 'expired, nobody asked',
};

const series: Record<Series, string> = {
  seid: 'SEID',
  nit: 'NIT',
  token: 'token',
  replay: 'repeated',
  unusable: 'unusable',
  failed: 'not kept in time',
};

export const ENGLISH = {
  lang: 'en',
  title: 'Authenticity posts',
  skip: 'Skip to the posts',
  live: { live: 'live', paused: 'reconnecting', still: 'reloads every 10 s' },
  timesUtc: 'Times are UTC.',
  only: (merchant: string) => `Only merchant ${merchant}: your key is limited to it.`,
  status: {
    ok: 'All is well',
    okWhy: 'Posts are answered 200 and kept.',
    degraded: 'Needs a look',
    away: 'Redis is away',
    awayWhy: 'Posts are answered 200 and kept on local disk. Workers of other instances get them when Redis is back.',
    diskWhy: 'Posts are answered 200 and kept in memory: the disk does not take them.',
    mergingWhy: 'Redis is back; what was kept here is being brought there.',
    stopping: 'Stopping',
    stoppingWhy: 'What Carat still sends is answered; workers are sent to another instance.',
    fullWhy: 'As many workers wait as may. Others are turned away with 503.',
    lost: 'No contact with the service',
    lostWhy: 'This page is not up to date. Check whether the process runs and can be reached. Last contact:',
    failed: 'Posts were not kept in time',
    recentWhy: (minutes: number, what: readonly string[]) => `In the last ${minutes} minutes: ${what.join(', ')}.`,
    counts: {
      failed: (count: number) => (count === 1 ? '1 post not kept in time' : `${count} posts not kept in time`),
      noShows: (count: number) => (count === 1 ? '1 no-show' : `${count} no-shows`),
      orphans: (count: number) => (count === 1 ? '1 orphan' : `${count} orphans`),
      unusable: (count: number) => (count === 1 ? '1 unusable post' : `${count} unusable posts`),
    },
  },
  facts: {
    recent: (minutes: number) => `last ${minutes} min`,
    noShows: 'No-shows',
    orphans: 'Orphans',
    unusable: 'Unusable',
    failed: 'Not kept in time',
    doors: 'Not served',
    owed: 'Recharges owed',
    store: 'Store',
    stores: { embedded: 'embedded', redis: 'Redis', fallback: 'Redis' },
    states: { ok: 'ok', degraded: 'degraded', away: 'away' },
    fallback: 'Fallback',
    noFallback: 'not needed',
    pending: (count: number) => `${count} pending`,
    waiting: 'Waiting workers',
    of: 'of',
    instances: 'Instances',
    uptime: 'Up for',
    version: 'Version',
  },
  help: {
    title: 'Nothing has come yet',
    intro: 'Three steps to the first token:',
    send: 'Send a test post',
    sendWhy: 'as Carat would. The answer is OK, and it appears on this page.',
    read: 'Read it back',
    readWhy: 'as your worker would, by the same merchant_data.',
    register: 'Register your URL',
    registerWhy:
      "Ask Carat's support to register your authenticity URL for your merchant: public HTTPS, ending at a proxy that passes it on to this address, without redirects. Choose a secret path (AUTHENTICITY_PATHS).",
    yourPath: 'YOUR-PATH',
  },
  plots: {
    posts: 'Posts per minute',
    postsWhy: (total: number, span: string) => `${total} in the last ${span}, by kind and outcome`,
    handover: 'From post to worker',
    handoverWhy: (total: number) => `${total} handovers, by the time they took`,
    handoverNone: 'No token was handed over yet.',
    median: 'half within',
    p95: '95 % within',
    waiters: 'Waiting workers and fallback depth',
    waitersWhy: 'the most in each minute',
    waitersNow: 'waiting',
    pendingNow: 'pending',
    most: 'most',
    now: 'now',
    ago: (span: string) => `${span} ago`,
    perMinute: 'at most, in a minute:',
  },
  posts: {
    title: 'Last posts',
    more: (count: number) => `${count} earlier posts`,
    filter: 'Filter',
    all: 'all posts',
    noneFound: 'No post has this.',
    filterHint: 'merchant, kind, outcome, correlator, fingerprint',
    pause: 'Pause',
    resume: 'Resume',
    none: 'No post yet.',
    at: 'When',
    merchant: 'Merchant',
    kind: 'Kind',
    correlators: 'Correlators',
    fingerprint: 'Fingerprint',
    from: 'From',
    outcome: 'Outcome',
    after: (time: string) => `after ${time}`,
    via: (instance: string) => `via ${instance}`,
    pool: 'none: shared out by kind',
    unselectable: 'none readable: no worker can ask for it',
    dropped: (fields: string) => `Not readable: ${fields}`,
    contentType: (type: string) => `Content type: ${type}`,
    contentEncoding: (encoding: string) => `Content encoding: ${encoding}`,
  },
  life: { title: 'The life of', what: 'What happened', posted: 'posted', claim: 'claim' },
  recharges: {
    title: 'Recharges owed',
    why: 'Handed out, and not settled at Carat yet. The guard undoes a recharge that nobody decides about in time.',
    none: 'None has ended yet.',
    byGuard: 'by the guard',
    ends: {
      guard_undo: 'being undone by the guard',
      confirmed: 'confirmed',
      undone: 'undone',
      not_effected: 'never took effect',
    },
  },
  doors: {
    title: 'Not served',
    what: 'What',
    count: 'How often',
    last: 'Last',
    labels: {
      not_found: { label: 'no such path (404)', advice: 'Scanners, or a URL that was registered with another path.' },
      near_miss: {
        label: 'nearly the path of a merchant (404)',
        advice: 'Compare the registered URL with AUTHENTICITY_PATHS. Does the proxy add or remove a prefix?',
      },
      bad_request: {
        label: 'not HTTP (400)',
        advice: 'Scanners, or a client that speaks TLS or HTTP/2 to a plain port.',
      },
      tls_handshake: {
        label: 'TLS handshake failed',
        advice: 'The client does not trust the certificate, or shares no TLS version with it. Check the chain.',
      },
      alpn: { label: 'TLS without http/1.1', advice: 'The client offers HTTP/2 only. A proxy in front can speak it.' },
      given_up: {
        label: 'closed, too many connections',
        advice: 'More connections than may be open. The idle ones end first.',
      },
    } satisfies Record<Door, OutcomeText>,
  },
  waiting: {
    title: 'Who waits',
    none: 'Nobody waits.',
    topic: 'For what',
    since: 'Since',
    more: (count: number) => `and ${count} more`,
    pool: (kind: string) => `any ${kind} without correlator`,
  },
  expected: {
    title: 'Expected',
    none: 'Nothing is expected.',
    what: 'What',
    until: 'Until',
    noShows: 'No-shows',
    noShowsWhy: 'Announced, and no post came. Did Carat refuse the request? Is the URL registered?',
    noNoShows: 'None.',
    orphans: 'Orphans',
    orphansWhy: 'Tokens that expired and that nobody asked for. Does the worker wait under the right correlator?',
    noOrphans: 'None.',
    at: 'When',
  },
  instances: { title: 'Instances', name: 'Name', self: 'this one', started: 'Up for' },
  footer: {
    secrets: 'No token is shown here. A fingerprint distinguishes tokens and reveals nothing.',
    metrics: 'Metrics',
    postsJson: 'Posts as JSON',
    ready: 'Readiness',
    docs: 'API',
  },
  outcomes,
  became,
  series,
};

export type Texts = typeof ENGLISH;
