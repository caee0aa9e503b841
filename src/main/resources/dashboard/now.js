// Now: is everything fresh and right? One line, one colour; then what is wrong; then all views.

import * as api from './api.js';
import { ask, h, say, svg } from './dom.js';
import { ago, clock, count, plural, seconds } from './text.js';

const words = { ok: 'All well', warn: 'Look at this', bad: 'Wrong or late' };
const CURVES_EVERY = 15000;
const FIRST = 10;

let lags = {};
let mergeTimes = {};
let curvesAt = 0;

export async function load() {
    const [data, transactions] = await Promise.all([api.now(), api.transactions()]);
    data.transactions = transactions.items;
    if (Date.now() - curvesAt > CURVES_EVERY || data.views.some(v => !(v.name in lags))) {
        [lags, mergeTimes] = await Promise.all([api.lags(), api.mergeTimes()]);
        curvesAt = Date.now();
    }
    return data;
}

export function render(route, data, { choose, again }) {
    const q = route.query.get('q') ?? '';
    const only = route.query.get('only') ?? '';
    const views = tree(data.views).filter(v => matches(v, q, only));
    return [
        h('h1', { class: 'hidden' }, 'Now'),
        h('section', { class: `line ${data.level}`, 'data-key': 'line', id: 'line' },
            h('p', { class: 'word' }, words[data.level]),
            h('p', { class: 'sentence', 'aria-live': 'polite' }, data.sentence, data.findings.length > 1 ? ` – and ${data.findings.length - 1} more` : ''),
            h('p', { class: 'at' }, `as of ${clock(data.at)}`)),
        data.findings.length
            ? h('section', { 'data-key': 'findings', class: 'findings' },
                h('h2', {}, 'What is wrong'),
                first(data.findings, listed))
            : null,
        data.transactions.length ? h('section', { 'data-key': 'transactions' }, h('h2', {}, 'What holds things up'), held(data.transactions, again)) : null,
        h('section', { 'data-key': 'views' },
            h('h2', {}, 'Derived views'),
            h('div', { class: 'filters', 'data-key': 'filters' },
                h('label', {}, 'Name ', h('input', { id: 'q', type: 'search', value: q, oninput: e => choose('q', e.target.value) })),
                h('label', {}, 'Show ', h('select', { id: 'only', onchange: e => choose('only', e.target.value) },
                    [['', 'all'], ['trouble', 'with findings'], ['pending', 'with changes pending']].map(([value, text]) =>
                        h('option', { value, selected: value === only }, text)))),
                h('span', { class: 'note' }, `${views.length} of ${data.views.length}`)),
            table(views)),
    ];
}

/** A list of which the rest is shown when somebody wants it: with 200 views, it would hide what comes below. */
export const first = (all, drawn) => [drawn(all.slice(0, FIRST), false), all.length > FIRST
    ? h('details', { 'data-key': 'more' }, h('summary', {}, `${all.length - FIRST} more`), drawn(all.slice(FIRST), true)) : null];

/** Findings, the worst first. */
const listed = findings => h('ul', {}, findings.map(f => h('li', { class: f.level },
    h('strong', {}, words[f.level], ': '),
    f.view ? h('a', { href: link(f.view) }, f.sentence) : f.sentence,
    h('br'), h('span', { class: 'note' }, f.remedy))));

/** Transactions that are old, or that others wait for. */
export function held(transactions, again) {
    return h('table', { class: 'cards', id: 'transactions' },
        h('thead', {}, h('tr', {}, ['Session', 'Whose', 'Begun', 'Wait for it', 'Statement'].map(t => h('th', { scope: 'col' }, t)), h('td'))),
        h('tbody', {}, transactions.map(t => h('tr', { 'data-key': `${t.pid} ${t.since} ${t.pid ? '' : t.statement}` },
            h('th', { scope: 'row' }, t.pid || 'none'),
            h('td', { 'data-label': 'Whose' }, [t.role, t.program, t.address].filter(x => x).join(', ')),
            h('td', { 'data-label': 'Begun' }, `${ago(t.since)}, ${t.waits ? `waits for a ${t.waits}` : t.state ?? 'hidden'}`),
            h('td', { 'data-label': 'Wait for it' }, t.blocks ? `${plural(t.blocks, 'session')}, ${t.blocked_merges} of ours` : t.holds_snapshot ? 'nobody; it keeps dead rows' : 'nobody'),
            h('td', { 'data-label': 'Statement', class: 'result' }, h('code', {}, t.statement ?? 'hidden')),
            h('td', {}, t.pid ? h('button', { type: 'button', needs: 'operator', 'aria-label': `End the transaction of session ${t.pid}`, onclick: () => end(t, again) },
                t.state === 'active' ? 'Cancel' : 'End session') : null)))));
}

async function end(t, again) {
    const what = t.state === 'active' ? 'Its statement is cancelled, and its transaction fails.' : 'It is idle, so its session is ended, and its transaction is rolled back.';
    if (!await ask(`End the transaction of session ${t.pid}?`, `It is of ${[t.role, t.program].filter(x => x).join(', ')}. ${what}`, t.state === 'active' ? 'Cancel it' : 'End it')) {
        return;
    }
    try {
        await api.endTransaction(t);
        say(`The transaction of session ${t.pid} is ended.`);
    } catch (e) {
        say(e.whole ?? 'Countersink does not answer.', true);
    }
    again();
}

const DEEPEST = 4;

/** Rollups below their projection, and views that read others below the first that they read. */
function tree(views) {
    const names = new Set(views.map(v => v.name));
    const below = new Map();
    const tops = [];
    for (const v of views) {
        const above = v.projection ?? v.reads.find(name => names.has(name));
        if (above) {
            below.set(above, [...(below.get(above) ?? []), v]);
        } else {
            tops.push(v);
        }
    }
    const seen = new Set();
    const branch = (v, depth) => seen.has(v.name) ? [] : (seen.add(v.name), v.depth = Math.min(depth, DEEPEST),
        [v, ...(below.get(v.name) ?? []).flatMap(under => branch(under, depth + 1))]);
    return [...tops.flatMap(v => branch(v, 0)), ...views.flatMap(v => branch(v, 0))];
}

function matches(v, q, only) {
    const named = v.name.toLowerCase().includes(q.toLowerCase());
    return named && (only === 'trouble' ? v.level !== 'ok' : only === 'pending' ? v.pending > 0 : true);
}

const link = name => `#/view/${encodeURIComponent(name)}`;

function table(views) {
    const heads = ['View', 'State', 'Pending', 'Lag', 'Last merge', 'Next', 'Rows a minute', 'Verified', 'Lag, last hour', 'Merge time, last hour'];
    return h('table', { class: 'views cards', id: 'views' },
        h('thead', {}, h('tr', {}, heads.map((text, i) => h('th', { scope: 'col', class: i === 2 || i === 3 || i === 6 ? 'number' : '' }, text)))),
        h('tbody', {}, views.map(v => h('tr', { 'data-key': v.name, class: v.level },
            h('th', { scope: 'row', class: v.depth ? `below${v.depth}` : '' },
                h('a', { href: link(v.name) }, v.name),
                h('span', { class: 'kind' }, v.projection ? ' rollup' : ` ${v.kind}`)),
            h('td', { 'data-label': 'State' }, h('span', { class: `state ${v.level}` }, state(v))),
            h('td', { 'data-label': 'Pending', class: 'number' }, v.projection ? '' : count(v.pending)),
            h('td', { 'data-label': 'Lag', class: 'number' }, v.projection ? '' : lag(v)),
            h('td', { 'data-label': 'Last merge' }, ago(v.last_merge_at)),
            h('td', { 'data-label': 'Next' }, v.projection ? '' : next(v)),
            h('td', { 'data-label': 'Rows a minute', class: 'number' }, v.projection ? '' : count(v.rows_per_minute === null ? null : Math.round(v.rows_per_minute))),
            h('td', { 'data-label': 'Verified' }, verified(v)),
            h('td', { 'data-label': 'Lag, last hour' }, v.projection ? '' : sparkline(lags[v.name] ?? [], v.lag_limit)),
            h('td', { 'data-label': 'Merge time, last hour' }, v.projection ? '' : sparkline((mergeTimes[v.name] ?? []).map(ms => ms === null ? null : ms / 1000), null))))));
}

function state(v) {
    if (v.error && v.failures > 0) {
        return 'failing';
    }
    if (v.quarantined > 0) {
        return `${count(v.quarantined)} quarantined`;
    }
    return v.progress === null || v.progress === undefined ? v.state : `${v.state} ${Math.round(v.progress * 100)} %`;
}

/** When it is merged next: by the clock, after an error, or within its interval. */
export function next(v) {
    if (v.state === 'paused' || v.state === 'defined') {
        return 'not';
    }
    if (v.trigger) {
        return v.trigger.state === 'error' ? h('span', { class: 'state bad' }, 'trigger in error')
            : v.trigger.state === 'blocked' ? 'at work' : soon(v.trigger.next_fire_at);
    }
    if (v.cron) {
        return h('span', { class: 'state warn' }, 'no trigger yet');
    }
    return v.retry_at && new Date(v.retry_at) > new Date() ? soon(v.retry_at) : `within ${seconds(v.every_ms / 1000)}`;
}

const soon = time => `in ${seconds(Math.max(0, (new Date(time) - Date.now()) / 1000))}`;

const lag = v => v.lag_limit === null ? seconds(v.lag) : [seconds(v.lag), h('span', { class: 'note' }, ` of ${seconds(v.lag_limit)}`)];

export function verified(v) {
    if (!v.verified) {
        return h('span', { class: 'note' }, 'never');
    }
    const share = v.verified.sample === null ? 'all keys' : `${v.verified.sample * 100} %`;
    return v.verified.differences > 0
        ? h('span', { class: 'state bad' }, `${count(v.verified.differences)} wrong`)
        : `${ago(v.verified.finished_at)}, ${share}`;
}

const WIDTH = 90;
const HEIGHT = 24;

/** A small picture of seconds, two minutes a point, the limit at the top unless there was more. */
function sparkline(values, limit) {
    const known = values.filter(v => v !== null);
    const highest = Math.max(0, ...known);
    const top = Math.max(highest, limit ?? 0, 0.001);
    const step = WIDTH / 29;
    const points = values.map((v, i) => v === null ? null
        : `${(WIDTH - (values.length - 1 - i) * step).toFixed(1)},${(HEIGHT - 1 - v / top * (HEIGHT - 2)).toFixed(1)}`).filter(p => p);
    const picture = svg('svg', {
        class: limit !== null && limit !== undefined && highest > limit ? 'spark late' : 'spark',
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: 'img',
        'aria-label': known.length ? `highest ${seconds(highest)}` : 'nothing known yet',
    });
    if (points.length === 1) {
        const [x, y] = points[0].split(',');
        picture.append(svg('circle', { cx: Math.min(x, WIDTH - 2), cy: y, r: 1.5 }));
    } else if (points.length > 1) {
        picture.append(svg('polyline', { points: points.join(' ') }));
    }
    return picture;
}
