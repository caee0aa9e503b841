// Activity: alerts, merges at work, instances, what the clock fires, delta tables, slow statements, transactions that hold things up.

import * as api from './api.js';
import { h } from './dom.js';
import { held } from './now.js';
import { ago, bytes, clock, count, plural, seconds } from './text.js';

export async function load() {
    const [activity, transactions, alerts] = await Promise.all([api.activity(), api.transactions(), api.alerts()]);
    return { ...activity, transactions: transactions.items, alerts: alerts.items };
}

const view = name => h('a', { href: `#/view/${encodeURIComponent(name)}` }, name);

export function render(route, data, { again }) {
    return [
        h('h1', {}, 'Activity'),
        part('alerts', 'Alerts', data.alerts, () => table('alerts', ['Alert', 'State', 'Since', 'What is wrong', 'What to do', 'Webhook'],
            data.alerts.map(a => [a.id, a.rule, a.state === 'firing' ? h('span', { class: `state ${a.level}` }, 'firing') : `over, after ${seconds((new Date(a.resolved_at) - new Date(a.since)) / 1000)}`,
                ago(a.since), a.sentence, a.remedy, a.told ? `told: ${a.told}` : 'not told'])), 'There was none.'),
        part('transactions', 'Transactions that hold things up', data.transactions, () => held(data.transactions, again), 'None is older than 5 s, and nobody waits for one.'),
        part('merges', 'Merges at work', data.merges, () => table('merges', ['View', 'Session', 'Statement begun', 'Program', 'Waits for'],
            data.merges.map(m => [`${m.view} ${m.pid}`, view(m.view), m.pid, ago(m.since), m.program,
                m.waits ? `${m.waits} of ${m.blockers.length === 1 ? 'session' : 'sessions'} ${m.blockers.join(', ')}` : 'nothing'])), 'None at this moment.'),
        part('instances', 'Instances', data.instances, () => table('instances', ['Instance', 'Checked in', 'Jobs by the clock', 'Runs'],
            data.instances.map(i => [i.name, i.name, i.overdue ? bad(`${seconds(i.silent)} ago, too long`) : ago(i.checked_in_at), count(i.jobs), count(i.runs)])), 'None has checked in yet.'),
        part('triggers', 'What the clock fires', data.triggers, () => table('triggers', ['Trigger', 'State', 'Next', 'Last'],
            data.triggers.map(t => [`${t.view ?? ''} ${t.name}`, t.view ? view(t.view) : t.name, t.state === 'error' ? bad('error') : t.late > 10 ? bad(`${t.state}, ${seconds(t.late)} late`) : t.state,
                day(t.next_fire_at), t.previous_fire_at ? ago(t.previous_fire_at) : 'never'])), 'Nothing has a cron.'),
        part('deltas', 'Delta tables, the largest first', data.deltas, () => table('deltas', ['View', 'Size', 'Rows, about', 'Dead rows, about', 'Vacuumed', 'Stored rows take'],
            data.deltas.map(d => [d.view, view(d.view), bytes(d.delta_bytes), count(d.live_rows), count(d.dead_rows), ago(d.vacuumed_at), bytes(d.stored_bytes)])), 'There are no derived views yet.'),
        part('statements', 'Slow statements', data.statements, () => table('statements', ['Statement', 'Role', 'Calls', 'On average', 'In all'],
            data.statements.map((s, n) => [`${s.role} ${s.statement ?? n}`, h('code', {}, s.statement ?? 'hidden'), s.role, count(s.calls), seconds(s.mean_ms / 1000), seconds(s.total_ms / 1000)])),
            'pg_stat_statements is not installed in this database, or this role may not read it.'),
    ];
}

const bad = text => h('span', { class: 'state bad' }, text);
const day = time => time ? `${new Date(time).toLocaleDateString('en-GB')} ${clock(time)}` : '–';

function part(key, title, rows, draw, none) {
    return h('section', { 'data-key': key }, h('h2', {}, rows.length > 1 ? `${title}: ${plural(rows.length, 'row')}` : title), rows.length ? draw() : h('p', { class: 'note' }, none));
}

/** Each row begins with its key. */
function table(id, heads, rows) {
    return h('table', { class: 'cards', id },
        h('thead', {}, h('tr', {}, heads.map(t => h('th', { scope: 'col' }, t)))),
        h('tbody', {}, rows.map(([key, first, ...rest]) => h('tr', { 'data-key': key }, h('th', { scope: 'row' }, first),
            rest.map((cell, i) => h('td', { 'data-label': heads[i + 1] }, cell))))));
}
