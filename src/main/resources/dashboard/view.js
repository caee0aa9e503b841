// One derived view: its state, the buttons with their price, the schedule, the last hour, where it comes from, its runs.

import * as api from './api.js';
import { ask, h, say } from './dom.js';
import { next, verified } from './now.js';
import * as runs from './runs.js';
import { ago, clock, count, interval, plural, seconds } from './text.js';

const FIXED_FOR = 30000;

let known = { name: null };

const nothing = { definition: null, key: null, group_by: null, rows: null, watched: [], static: [] };

/**
 * What does not change by itself is asked for less often. A definition cannot be read while somebody holds one of its tables
 * exclusively: then the page is shown without it.
 */
async function fixed(name) {
    if (known.name !== name || Date.now() > known.until) {
        const before = known.name === name ? known.details : { ...nothing, name };
        const [details, quarantine, trust] = await Promise.all([
            api.details(name).catch(e => {
                if (e.status === 503) {
                    return { ...before, late: 'Somebody holds one of its tables exclusively, so PostgreSQL does not show it now.' };
                }
                throw e;
            }),
            api.quarantine(name), api.trust(name)]);
        known = { name, until: Date.now() + (details.late ? 5000 : FIXED_FOR), details, quarantine: quarantine.items, trust: trust.items };
    }
    return known;
}

let answer = { of: null };

/** Asked once for each cell: the definition may take long. */
async function why(name, cell) {
    const of = `${name} ${cell}`;
    if (answer.of !== of) {
        answer = { of };
        try {
            const [row, changed] = await Promise.all([api.row(name, cell), api.lastChange(name, cell)]);
            answer.rows = row.items;
            answer.changed = changed.items;
        } catch (e) {
            answer.refused = e.whole ?? 'Countersink does not answer.';
        }
    }
    return answer;
}

let then = { at: null };

/** What was running at a moment, asked for once. */
async function moment(at) {
    if (at && then.at !== at) {
        then = { at, found: await api.moment(at) };
    }
    return at ? then.found : null;
}

export async function load(route) {
    const [now, latest, history, rest, running] = await Promise.all([
        api.now(), api.runs({ view: route.name, limit: 10 }), api.history(route.name), fixed(route.name), moment(route.query.get('at'))]);
    const cell = route.query.get('cell');
    const asked = cell === null ? null : await why(route.name, cell);
    const view = now.views.find(v => v.name === rest.details.name);
    const above = now.views.filter(v => v.projection === rest.details.name || v.reads.includes(rest.details.name)).map(v => v.name);
    return { view, above, findings: now.findings.filter(f => f.view === rest.details.name), runs: latest.items, history, asked, running, ...rest };
}

export function render(route, data, { choose, again }) {
    const { view: v, details } = data;
    if (!v) {
        return h('p', { class: 'alone' }, `${details.name} has just come or gone. It is looked for again.`);
    }
    return [
        h('div', { class: 'title', 'data-key': 'title' },
            h('h1', {}, v.name),
            h('span', { class: 'kind' }, v.projection ? ['rollup of ', h('a', { href: `#/view/${encodeURIComponent(v.projection)}` }, v.projection)] : v.kind),
            h('span', { class: `state ${v.level}`, id: 'state' }, v.state)),
        data.findings.map((f, i) => h('p', { class: `finding ${f.level}`, 'data-key': `finding ${i}` }, f.sentence, h('br'), h('span', { class: 'note' }, f.remedy))),
        h('dl', { class: 'figures', 'data-key': 'figures' }, figures(v, details)),
        h('section', { 'data-key': 'buttons' }, h('h2', {}, 'Act'), buttons(v, data, again)),
        h('section', { 'data-key': 'schedule' }, h('h2', {}, 'Schedule'), scheduleForm(v, again)),
        h('section', { 'data-key': 'hour' }, h('h2', {}, 'The last hour'), charts(data.history, v, choose), data.running ? atThatMoment(data.running, choose) : null),
        h('section', { 'data-key': 'trust' }, h('h2', {}, 'Trust'), trusted(data.trust)),
        v.kind === 'snapshot' ? null : h('section', { 'data-key': 'why' }, h('h2', {}, 'Why is this number so?'), whyForm(route, data, choose)),
        h('section', { 'data-key': 'definition' }, h('h2', {}, 'Definition'),
            h('pre', { tabindex: 0 }, details.definition ?? details.late ?? 'It is gone.'),
            h('p', {}, sources(details)), chain(v, details, data.above), explanation(v.name)),
        data.quarantine.length ? h('section', { 'data-key': 'quarantine' }, h('h2', {}, 'Quarantined keys'), quarantine(data.quarantine, details.key)) : null,
        h('section', { 'data-key': 'runs' }, h('h2', {}, 'Runs'), runs.table(data.runs, again, false),
            h('p', {}, h('a', { href: `#/runs?view=${encodeURIComponent(v.name)}` }, 'All runs of this view'))),
    ];
}

function figures(v, details) {
    const all = [
        ['Pending', count(v.pending)],
        ['Lag', v.lag_limit === null ? seconds(v.lag) : `${seconds(v.lag)} of ${seconds(v.lag_limit)}`],
        ['Lag, p50 and p99', v.target_lag_ms ? `${seconds(v.lag_p50)} and ${seconds(v.lag_p99)}` : null],
        ['Last merge', ago(v.last_merge_at)],
        ['Next merge', v.projection ? null : next(v)],
        ['Rows changed a minute', v.projection || v.rows_per_minute === null ? null : count(Math.round(v.rows_per_minute))],
        ['Reads', v.reads.length ? v.reads.map((name, i) => [i ? ', ' : '', h('a', { href: `#/view/${encodeURIComponent(name)}` }, name)]) : null],
        ['Rows stored, about', details.rows === null ? 'not analysed yet' : count(details.rows)],
        ['Keys merged', count(v.keys_merged)],
        ['Verified', verified(v)],
        ['Key', (details.key ?? details.group_by ?? []).join(', ') || null],
        ['How it merged many keys', v.choice],
    ];
    return all.filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)));
}

/** The buttons, each with what it costs. */
function buttons(v, { details, view }, again) {
    const rows = details.rows === null ? 'all rows' : `about ${plural(details.rows, 'row')}`;
    const before = view.verified && view.verified.sample === null ? `; the last time it took ${seconds(view.verified.seconds)}` : '';
    const all = [
        ['refresh', 'Refresh', `merges ${plural(v.pending, 'pending change')} now`],
        ['verify', 'Verify', `compares ${rows} with the definition${before}; changes nothing`],
        ['repair', 'Repair', `compares ${rows} and corrects those that differ`, `It compares ${rows} with the definition and writes what differs.`],
        ...v.kind === 'snapshot' ? [] : [['rebuild', 'Rebuild', `evaluates every key again: ${rows}`,
            `It evaluates every key again, ${rows}, bit by bit. Readers see the stored rows meanwhile.`]],
        v.state === 'paused' ? ['resume', 'Resume', `merges go on: ${plural(v.pending, 'pending change')}`]
            : ['pause', 'Pause', 'stored rows stay as they are; changes are noted, and live reads stay exact', 'Stored rows stay as they are until somebody resumes it.'],
    ];
    return h('div', { class: 'acts' }, all.map(([action, verb, price, question]) => h('div', { 'data-key': action },
        h('button', { type: 'button', needs: action === 'rebuild' ? 'owner' : 'operator', id: action, 'aria-describedby': `${action}-price`, onclick: () => act(v.name, action, verb, question, again) }, verb),
        h('span', { class: 'note', id: `${action}-price` }, price))));
}

async function act(name, action, verb, question, again) {
    if (question && !await ask(`${verb} ${name}?`, question, verb)) {
        return;
    }
    try {
        const { run } = await api.act(name, action);
        say(`${verb} is requested, as run ${run}.`);
    } catch (e) {
        say(e.whole ?? 'Countersink does not answer.', true);
    }
    again();
}

/** It is made once, and kept while somebody types; it knows which version of the schedule it has shown. */
function scheduleForm(v, again) {
    const box = h('div', { 'data-keep': 'yes', 'data-key': `form ${v.name}` });
    if (!document.querySelector(`[data-key="${CSS.escape(`form ${v.name}`)}"]`)) {
        openSchedule(box, v.name, again);
    }
    return box;
}

async function openSchedule(box, name, again, message = '') {
    let opened;
    try {
        opened = await api.schedule(name);
    } catch (e) {
        box.replaceChildren(h('p', { class: 'refused' }, e.whole ?? 'Countersink does not answer.'));
        return;
    }
    const { view, etag } = opened;
    const snapshot = view.kind === 'snapshot';
    const fields = [
        ['interval', 'Interval', interval(view.interval_ms), 'from the settings', view.target_lag_ms && 'found from the target'],
        snapshot ? ['cron', 'Cron, UTC', view.cron ?? '', 'none: by the interval']
            : ['target_lag', 'Target of the lag', interval(view.target_lag_ms), 'none'],
        ['priority', 'Priority', String(view.priority), '0'],
    ];
    const inputs = fields.map(([id, , value, placeholder, fixed]) => h('input', { id: `schedule-${id}`, value: fixed ? '' : value, placeholder: fixed || placeholder, autocomplete: 'off' }));
    box.replaceChildren(h('form', {
        class: 'schedule',
        onsubmit: async event => {
            event.preventDefault();
            const changes = {};
            fields.forEach(([id, , value, , fixed], i) => {
                const text = inputs[i].value.trim();
                if (text !== (fixed ? '' : value)) {
                    changes[id] = text === '' ? null : id === 'priority' && /^-?\d+$/.test(text) ? Number(text) : text;
                }
            });
            if (!Object.keys(changes).length) {
                refused.textContent = 'Nothing is changed.';
                return;
            }
            try {
                await api.changeSchedule(name, etag, changes);
                say(`The schedule of ${name} is changed.`);
                openSchedule(box, name, again);
                again();
            } catch (e) {
                if (e.status === 412) {
                    const { view: theirs } = await api.schedule(name);
                    refused.replaceChildren(
                        `Somebody else has changed this schedule since you opened it, so yours was not stored. Now it is: ${described(theirs)}. `,
                        h('button', { type: 'button', id: 'theirs', onclick: () => openSchedule(box, name, again) }, 'Show theirs'));
                } else {
                    refused.textContent = e.whole ?? 'Countersink does not answer.';
                }
            }
        },
    },
    fields.map(([id, label], i) => h('p', {}, h('label', { for: `schedule-${id}` }, label), inputs[i])),
    h('button', { type: 'submit', needs: 'operator', id: 'schedule-save' }, 'Store'),
    h('p', { id: 'schedule-refused', class: 'refused', role: 'alert' }, message)));
    const refused = box.querySelector('#schedule-refused');
}

const described = v => [
    v.target_lag_ms ? `target ${interval(v.target_lag_ms)}` : v.cron ? `cron ${v.cron}` : `interval ${interval(v.interval_ms) || 'from the settings'}`,
    `priority ${v.priority}`].join(', ');

/** A row as it is stored, live and by the definition, side by side; and the rows that it is made of. */
function whyForm(route, { details, asked }, choose) {
    const columns = details.key ?? details.group_by ?? [];
    let cell = {};
    try {
        cell = JSON.parse(route.query.get('cell') ?? '{}');
    } catch {
        // what is in the address is no JSON: the answer says so
    }
    return [
        h('form', {
            class: 'schedule', id: 'why', onsubmit: event => {
                event.preventDefault();
                answer = { of: null };
                choose('cell', JSON.stringify(Object.fromEntries(columns.map((c, i) => {
                    const text = document.getElementById(`why-${i}`).value;
                    return [c, text === '' ? null : text];
                }))));
            },
        },
        columns.map((c, i) => h('p', {}, h('label', { for: `why-${i}` }, c), h('input', { id: `why-${i}`, value: cell?.[c] ?? '', placeholder: 'NULL', autocomplete: 'off' }))),
        h('button', { type: 'submit', id: 'why-ask' }, columns.length ? 'Compare this row' : 'Compare its only row')),
        asked?.refused ? h('p', { class: 'refused', role: 'alert', id: 'why-refused' }, asked.refused) : null,
        asked?.rows ? comparison(asked.rows) : null,
        asked?.changed?.length ? h('p', { class: 'note', id: 'why-changed' }, lastChanged(asked.changed[0])) : null,
        asked?.rows && details.key ? baseRows(details.name, route.query.get('cell')) : null,
    ];
}

function comparison(rows) {
    const forms = [['stored', 'Stored, as of the last merge'], ['live', 'Live, exact now'], ['oracle', 'By the definition, now']];
    const below = rows.filter(r => r.form === 'below').map(r => r.row);
    const first = rows.find(r => r.form !== 'below')?.row ?? {};
    const heads = Object.keys(first);
    const texts = forms.map(([form]) => JSON.stringify(rows.filter(r => r.form === form).map(r => r.row)));
    const verdict = texts[1] !== texts[2] ? 'The stored row is wrong, and no pending change will correct it: repair the view, and look for what wrote to it or held up its triggers. If live differs from the definition after that, please report it.'
        : texts[0] === texts[2] ? 'All three are equal.' : 'The stored row is behind: refresh the view. If it still differs then, repair it.';
    return [
        h('p', { id: 'why-verdict' }, verdict),
        heads.length ? grid('why-forms', ['', ...heads], forms.map(([form, name]) => {
            const row = rows.find(r => r.form === form)?.row;
            return [name, ...heads.map(c => row ? shown(row[c]) : '–')];
        })) : h('p', { class: 'note' }, 'There is no such row in any form.'),
        below.length ? [h('h3', {}, `The stored rows that it is made of${below.length === 100 ? ' (the first 100)' : ''}`),
            grid('why-below', Object.keys(below[0]), below.map(row => Object.values(row).map(shown)))] : null,
    ];
}

const lastChanged = c => c.at ? `The stored row was last written ${ago(c.at)}, at ${clock(c.at)}, by the merge in transaction ${c.transaction}.`
    : `The stored row was last written by the merge in transaction ${c.transaction}. PostgreSQL knows when only with track_commit_timestamp = on.`;

/** The rows of the sources; asked for when somebody wants them, because every row of a source may have to be looked at. */
function baseRows(name, cell) {
    return h('details', {
        'data-keep': 'yes', 'data-key': `base ${name} ${cell}`, id: 'why-base', ontoggle: async event => {
            const details = event.target;
            if (!details.open || details.dataset.asked) {
                return;
            }
            details.dataset.asked = 'yes';
            try {
                const { items } = await api.sourceRows(name, cell);
                const sources = [...new Set(items.map(i => i.source))];
                details.append(...(sources.length ? sources.flatMap(source => {
                    const rows = items.filter(i => i.source === source).map(i => i.row);
                    return [h('h3', {}, `${source}${rows.length === 20 ? ' (the first 20)' : ''}`), grid(`rows of ${source}`, Object.keys(rows[0]), rows.map(row => Object.values(row).map(shown)))];
                }) : [h('p', { class: 'note' }, 'No row of a source leads to this key now.')]));
            } catch (e) {
                details.append(h('p', { class: 'refused' }, e.whole ?? 'Countersink does not answer.'));
            }
        },
    }, h('summary', {}, 'The rows of the sources that it comes from'));
}

const DAY = 86400000;

/** For how long the view is known to be right, and what each verification found. */
function trusted(verifications) {
    if (!verifications.length) {
        return h('p', { class: 'note', id: 'trust-line' }, 'It was never verified.');
    }
    const since = verifications[0].clean_since;
    const days = since ? Math.floor((Date.now() - new Date(since)) / DAY) : null;
    return [
        h('p', { id: 'trust-line' }, since ? `${plural(days, 'day')} without drift: no verification has found a difference since ${new Date(since).toLocaleDateString('en-GB')} ${clock(since)}.`
            : h('span', { class: 'state bad' }, `The last verification found ${plural(verifications[0].differences, 'wrong row')}.`)),
        h('table', { class: 'cards', id: 'trust' },
            h('thead', {}, h('tr', {}, ['Verified', 'Share of the keys', 'Found', 'Took', 'Run'].map(t => h('th', { scope: 'col' }, t)))),
            h('tbody', {}, verifications.map(t => h('tr', { 'data-key': t.run },
                h('th', { scope: 'row' }, ago(t.finished_at)),
                h('td', { 'data-label': 'Share of the keys' }, t.sample === null ? 'all' : `${t.sample * 100} %`),
                h('td', { 'data-label': 'Found' }, t.differences > 0 ? h('span', { class: 'state bad' }, plural(t.differences, 'wrong row')) : 'nothing'),
                h('td', { 'data-label': 'Took' }, seconds(t.seconds)),
                h('td', { 'data-label': 'Run' }, t.run))))),
    ];
}

/** What was running at the moment that somebody chose on a curve. */
function atThatMoment(m, choose) {
    return h('div', { class: 'moment', 'data-key': 'moment', id: 'moment' },
        h('h3', {}, `At ${clock(m.at)}`),
        m.merges.length ? h('p', {}, 'Merges of this instance, in the 15 s before: ', m.merges.map((x, i) => [i ? ', ' : '', h('a', { href: `#/view/${encodeURIComponent(x.view)}` }, x.view),
            ` ${seconds(x.mergeMs / 1000)} a step`]), '.') : h('p', {}, 'No merge of this instance.'),
        m.runs.length ? h('p', {}, 'Runs: ', m.runs.map((r, i) => `${i ? ', ' : ''}${r.action} ${r.view ?? `of message ${r.dead_letter}`} (run ${r.id})`), '.') : h('p', {}, 'No requested run.'),
        h('button', { type: 'button', onclick: () => choose('at', '') }, 'Close'));
}

const shown = value => value === null ? 'NULL' : typeof value === 'object' ? JSON.stringify(value) : String(value);

function grid(id, heads, rows) {
    return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': { 'why-below': 'rows below', 'why-forms': 'stored, live and by the definition' }[id] ?? id }, h('table', { id },
        h('thead', {}, h('tr', {}, heads.map(t => t === '' ? h('td') : h('th', { scope: 'col' }, t)))),
        h('tbody', {}, rows.map(cells => h('tr', {}, cells.map(c => h('td', {}, c)))))));
}

const HEIGHT = 150;
let plots = [];

function charts(history, v, choose) {
    const box = h('div', { class: 'charts', 'data-keep': 'yes', 'data-key': `charts ${v.name}` });
    const known_ = (history.lag ?? []).filter(x => x !== null).length;
    const there = document.querySelector(`[data-key="${CSS.escape(`charts ${v.name}`)}"]`);
    const curves = [
        [history.times ?? [], history.lag ?? []],
        [history.times ?? [], history.merge_ms ?? []],
        [history.times ?? [], history.rows_per_minute ?? []],
    ];
    if (there && plots.length) {
        plots.forEach((plot, i) => {
            const width = Math.max(240, plot.root.parentElement.clientWidth);
            if (Math.abs(plot.width - width) > 1) {
                plot.setSize({ width, height: HEIGHT });
            }
            plot.setData(curves[i]);
        });
    } else if (known_ > 1) {
        plots.forEach(plot => plot.destroy());
        queueMicrotask(() => {
            const place = document.querySelector(`[data-key="${CSS.escape(`charts ${v.name}`)}"]`) ?? box;
            const figures = [['Lag', 's'], ['Time of a merge on this instance', 'ms'], ['Rows changed', 'a minute']].map(([title, unit]) =>
                [h('figure', {}, h('figcaption', {}, `${title}, ${unit}`)), unit]);
            place.replaceChildren(...figures.map(([figure]) => figure));
            plots = figures.map(([figure, unit], i) => draw(figure, unit, curves[i], choose));
        });
    } else {
        plots = [];
        box.append(h('p', { class: 'note' }, 'Curves are drawn from the second sample on; there is one every 15 seconds.'));
        if (there) {
            there.replaceChildren(...box.cloneNode(true).childNodes);
        }
    }
    return box;
}

/** Has the curves drawn anew, in the colours of another theme. */
export function restyle() {
    plots.forEach(plot => plot.destroy());
    plots = [];
}

/** A click chooses a moment; so do the arrow keys and Enter. */
function choosable(figure, plot, choose) {
    const chosen = () => {
        const time = plot.data[0][plot.cursor.idx];
        if (time) {
            choose('at', new Date(time * 1000).toISOString());
        }
    };
    const move = by => {
        const last = plot.data[0].length - 1;
        const idx = Math.min(last, Math.max(0, (plot.cursor.idx ?? last + (by < 0 ? 1 : -1)) + by));
        plot.setCursor({ left: plot.valToPos(plot.data[0][idx], 'x'), top: 0 });
    };
    plot.over.addEventListener('click', chosen);
    figure.tabIndex = 0;
    figure.setAttribute('aria-label', `${figure.querySelector('figcaption').textContent}. Left and right choose a moment, Enter shows what was running then.`);
    figure.addEventListener('keydown', event => {
        const act = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), Enter: chosen }[event.key];
        if (act) {
            event.preventDefault();
            act();
        }
    });
}

function draw(figure, unit, data, choose) {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--edge'), width: 1 }, ticks: { stroke: colour('--edge'), width: 1 } };
    const plot = new uPlot({
        width: Math.max(240, figure.clientWidth),
        height: HEIGHT,
        legend: { show: true, live: true },
        cursor: { y: false },
        scales: { y: { range: (self, low, high) => [0, Math.max(high ?? 0, 0.01) * 1.1] } },
        axes: [
            { ...axis, values: (self, times) => times.map(t => clock(t * 1000).slice(0, times[1] - times[0] < 60 ? 8 : 5)), space: 70 },
            { ...axis, size: 56, values: (self, ticks) => ticks.map(t => String(Number(t.toPrecision(3)))) },
        ],
        series: [{ value: '{HH}:{mm}:{ss}' }, { label: unit, stroke: colour('--link'), width: 1.5, spanGaps: true, points: { size: 3 } }],
    }, data, figure);
    choosable(figure, plot, choose);
    return plot;
}

function sources(details) {
    const watched = details.watched.length ? `Watches ${details.watched.join(', ')}.` : 'Watches nothing.';
    return details.static.length ? `${watched} Assumes static: ${details.static.join(', ')}.` : watched;
}

/** From the tables, or the views, that it reads to those that read it. */
function chain(v, details, above) {
    const linked = name => h('a', { href: `#/view/${encodeURIComponent(name)}` }, name);
    const below = v.projection ? [linked(v.projection)] : [...new Set([...v.reads, ...details.watched, ...details.static])].map(name => v.reads.includes(name) ? linked(name) : name);
    const several = parts => parts.map((part, i) => [i ? ', ' : '', part]);
    return h('p', { id: 'chain' }, below.length ? [several(below), ' → '] : null, h('strong', {}, v.name), above.length ? [' → ', several(above.map(linked))] : null);
}

/** How each source leads to keys; asked for when somebody opens it. */
function explanation(name) {
    const key = `explain ${name}`;
    const box = h('details', {
        'data-keep': 'yes', 'data-key': key, ontoggle: async event => {
            const details = event.target;
            if (!details.open || details.querySelector('table')) {
                return;
            }
            try {
                const { items } = await api.explain(name);
                details.append(h('table', { class: 'cards' },
                    h('thead', {}, h('tr', {}, ['Source', 'Reach', 'Why', 'Index'].map(t => h('th', { scope: 'col' }, t)))),
                    h('tbody', {}, items.map(e => h('tr', {}, h('th', { scope: 'row' }, e.source), h('td', { 'data-label': 'Reach' }, e.reach),
                        h('td', { 'data-label': 'Why' }, e.reason), h('td', { 'data-label': 'Index' }, e.index ?? '–'))))));
            } catch (e) {
                details.append(h('p', { class: 'refused' }, e.whole ?? 'Countersink does not answer.'));
            }
        },
    }, h('summary', {}, 'How a change of each source leads to keys'));
    return box;
}

function quarantine(keys, columns) {
    const named = key => columns && Array.isArray(key) ? columns.map((c, i) => `${c} = ${JSON.stringify(key[i])}`).join(', ') : JSON.stringify(key);
    return h('table', { class: 'cards', id: 'quarantine' },
        h('thead', {}, h('tr', {}, ['Key', 'Since', 'Why'].map(t => h('th', { scope: 'col' }, t)))),
        h('tbody', {}, keys.map(k => h('tr', { 'data-key': JSON.stringify(k.key) },
            h('th', { scope: 'row' }, named(k.key)),
            h('td', { 'data-label': 'Since' }, ago(k.quarantined_at)),
            h('td', { 'data-label': 'Why' }, `${k.error} (${k.sqlstate})`)))));
}
