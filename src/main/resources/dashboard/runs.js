// Runs: what was requested, and what became of it.

import * as api from './api.js';
import { h, read, say } from './dom.js';
import { ago, count, seconds } from './text.js';

const states = ['', 'queued', 'running', 'done', 'failed'];

export const load = route => api.runs({ view: route.query.get('view'), state: route.query.get('state'), after: route.query.get('after'), limit: 50 });

export function render(route, page, { choose, again }) {
    const state = route.query.get('state') ?? '';
    const view = route.query.get('view') ?? '';
    const after = new URLSearchParams((page.next ?? '').split('?')[1]).get('after');
    return [
        h('h1', {}, 'Runs'),
        h('div', { class: 'filters', 'data-key': 'filters' },
            h('label', {}, 'State ', h('select', { id: 'state', onchange: e => choose('state', e.target.value) },
                states.map(value => h('option', { value, selected: value === state }, value || 'all')))),
            h('label', {}, 'View ', h('input', { id: 'view', type: 'search', value: view, placeholder: 'schema.name', onchange: e => choose('view', e.target.value) }))),
        table(page.items, again, true),
        h('div', { class: 'buttons', 'data-key': 'pages' },
            route.query.get('after') ? h('button', { type: 'button', onclick: () => choose('after', '') }, 'Newest') : null,
            after ? h('button', { type: 'button', onclick: () => choose('after', after) }, 'Older') : null),
    ];
}

export function table(runs, again, named) {
    if (!runs.length) {
        return h('p', { class: 'note', 'data-key': 'runs' }, 'There are none.');
    }
    return h('table', { class: 'cards', 'data-key': 'runs' },
        h('thead', {}, h('tr', {}, ['Run', ...named ? ['Of'] : [], 'Action', 'State', 'Requested', 'Took', 'Result'].map(t => h('th', { scope: 'col' }, t)), h('td'))),
        h('tbody', {}, runs.map(r => h('tr', { 'data-key': r.id },
            h('th', { scope: 'row' }, r.id),
            named ? h('td', { 'data-label': 'Of' }, r.view ? h('a', { href: `#/view/${encodeURIComponent(r.view)}` }, r.view) : `dead letter ${r.dead_letter}`) : null,
            h('td', { 'data-label': 'Action' }, r.action),
            h('td', { 'data-label': 'State' }, h('span', { class: `state ${{ failed: 'bad', running: 'warn', queued: 'warn' }[r.state] ?? 'ok'}` }, r.state)),
            h('td', { 'data-label': 'Requested' }, ago(r.requested_at)),
            h('td', { 'data-label': 'Took' }, took(r)),
            h('td', { 'data-label': 'Result', class: 'result' }, result(r)),
            h('td', {}, r.state === 'queued' || r.state === 'running'
                ? h('button', { type: 'button', needs: 'operator', 'aria-label': `Cancel run ${r.id}`, onclick: () => cancel(r.id, again) }, 'Cancel') : null)))));
}

function took(r) {
    if (!r.started_at) {
        return '–';
    }
    return seconds(((r.finished_at ? new Date(r.finished_at) : Date.now()) - new Date(r.started_at)) / 1000);
}

function result(r) {
    if (r.error) {
        return [r.error, r.hint ? h('span', { class: 'note' }, ` ${r.hint}`) : null];
    }
    if (!r.result) {
        return '';
    }
    if (r.action === 'verify') {
        return r.result.agrees ? 'equal to its definition'
            : h('button', { type: 'button', onclick: () => read(`Rows that differ, run ${r.id}`, r.result.rows.map(row => JSON.stringify(row)).join('\n')) },
                `${count(r.result.differences)} rows differ`);
    }
    if (r.result.outcome === 'nothing') {
        return 'nothing was pending';
    }
    return r.action === 'refresh' ? `${r.result.outcome}, ${count(r.result.keys)} keys, ${count(r.result.changed)} rows changed` : '';
}

async function cancel(id, again) {
    try {
        await api.cancelRun(id);
        say(`Run ${id} is cancelled.`);
    } catch (e) {
        say(e.whole ?? 'Countersink does not answer.', true);
    }
    again();
}
