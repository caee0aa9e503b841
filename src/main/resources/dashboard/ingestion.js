// Ingestion: what arrives, how far the jobs are, and messages that could not be applied.

import * as api from './api.js';
import { ask, h, read, say } from './dom.js';
import { ago, bytes, count, plural, seconds } from './text.js';

const LONGEST = 20000;
/** Seconds without any of its messages being finished, which is more than a pause between two batches. */
const STALLED = 10;

export async function load(route) {
    const [ingest, jobs, letters, reasons] = await Promise.all([
        api.ingest(), api.jobs(route.query.get('jobs')), api.deadLetters(route.query.get('letters'), route.query.get('code')), api.deadLetterReasons()]);
    return { ingest, jobs, letters, reasons: reasons.items };
}

export function render(route, { ingest, jobs, letters, reasons }, { choose, again }) {
    const q = route.query.get('q') ?? '';
    const code = route.query.get('code') ?? '';
    const waiting = reasons.filter(r => !code || r.sqlstate === code).reduce((n, r) => n + r.letters, 0);
    const shown = letters.items.filter(l => `${l.subject} ${l.reason} ${l.sqlstate}`.toLowerCase().includes(q.toLowerCase()));
    return [
        h('h1', {}, 'Ingestion'),
        [ingest.problem, ingest.blocked].filter(p => p).map((p, i) => h('p', { class: 'finding bad', 'data-key': `problem ${i}` }, p)),
        h('dl', { class: 'figures', 'data-key': 'figures' }, figures(ingest)),
        h('section', { 'data-key': 'connections' }, h('h2', {}, 'Connections of this instance'), connections(ingest)),
        h('section', { 'data-key': 'jobs' }, h('h2', {}, 'Jobs'), jobTable(jobs.items, ingest.jobs), more(jobs, 'jobs', route, choose)),
        h('section', { 'data-key': 'letters' },
            h('h2', {}, 'Messages that could not be applied'),
            h('div', { class: 'filters', 'data-key': 'filters' },
                h('label', {}, 'Subject or reason ', h('input', { id: 'q', type: 'search', value: q, oninput: e => choose('q', e.target.value) })),
                h('span', { class: 'note', id: 'letter-count' }, `${count(shown.length)} of ${count(waiting)}`),
                q && shown.length > 1 ? h('button', { type: 'button', needs: 'operator', id: 'replay-shown', onclick: () => replayShown(shown, again) }, `Replay these ${shown.length}`) : null,
                !q && waiting > 1 ? h('button', { type: 'button', needs: 'operator', id: 'replay-all', onclick: () => replayAll(code, waiting, again) },
                    code ? `Replay all ${count(waiting)} of ${code}` : `Replay all ${count(waiting)}`) : null),
            chips(reasons, code, choose),
            letterTable(shown, again), more(letters, 'letters', route, choose)),
    ];
}

function figures(i) {
    return [
        ['Waiting in the stream', count(i.backlog)],
        ['The oldest', i.oldestSeconds === null ? '–' : `${seconds(i.oldestSeconds)} old`],
        ['Finished a second', i.perSecond.toFixed(1)],
        ['Publish to commit, p50', i.p50Millis === null ? '–' : seconds(i.p50Millis / 1000)],
        ['p99', i.p99Millis === null ? '–' : seconds(i.p99Millis / 1000)],
        ['Finished since the start', count(i.messages)],
        ['Delivered twice', count(i.redelivered)],
        ['In memory', `${count(i.held)}, ${bytes(i.heldBytes)}`],
    ].map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)));
}

function connections({ nats, database: db }) {
    const rows = [
        ['NATS', h('span', { class: `state ${nats.state === 'connected' ? 'ok' : 'bad'}` }, nats.state), nats.server ?? nats.url,
            [nats.version ? `nats-server ${nats.version}` : null, nats.reconnects ? `connected again ${plural(nats.reconnects, 'time')}` : null].filter(x => x).join(', ')],
        ['PostgreSQL', h('span', { class: `state ${db.waiting ? 'warn' : 'ok'}` }, `${db.active} of ${db.most} in use`), db.url,
            `${db.idle} idle, ${db.waiting ? `${plural(db.waiting, 'thread')} waiting for one` : 'nobody waits for one'}`],
    ];
    return h('table', { class: 'cards', id: 'connections' },
        h('thead', {}, h('tr', {}, ['Server', 'State', 'Address', 'More'].map(t => h('th', { scope: 'col' }, t)))),
        h('tbody', {}, rows.map(([name, state, address, more]) => h('tr', { 'data-key': name }, h('th', { scope: 'row' }, name),
            h('td', { 'data-label': 'State' }, state), h('td', { 'data-label': 'Address', class: 'result' }, address), h('td', { 'data-label': 'More' }, more)))));
}

function more(page, name, route, choose) {
    const after = new URLSearchParams((page.next ?? '').split('?')[1]).get('after');
    return h('div', { class: 'buttons', 'data-key': `more ${name}` },
        route.query.get(name) ? h('button', { type: 'button', onclick: () => choose(name, '') }, 'First page') : null,
        after ? h('button', { type: 'button', onclick: () => choose(name, after) }, 'Next page') : null);
}

function jobTable(jobs, working) {
    if (!jobs.length) {
        return h('p', { class: 'note' }, 'There are none.');
    }
    const byId = new Map(working.map(w => [w.jobId, w]));
    return h('table', { class: 'cards', id: 'jobs' },
        h('thead', {}, h('tr', {}, ['Job', 'State', 'Progress', 'Failed', 'Waiting', 'The oldest', 'A second', 'Left', 'Idle'].map(t => h('th', { scope: 'col' }, t)))),
        h('tbody', {}, jobs.map(j => {
            const w = byId.get(j.id);
            return h('tr', { 'data-key': j.id },
                h('th', { scope: 'row' }, `${j.id} ${j.name ?? ''}`),
                h('td', { 'data-label': 'State' }, h('span', { class: `state ${{ failed: 'bad', running: 'warn' }[j.state] ?? 'ok'}` }, j.state)),
                h('td', { 'data-label': 'Progress' }, j.total > 0
                    ? [h('progress', { max: j.total, value: j.processed + j.failed, 'aria-label': `job ${j.id}` }), ` ${count(j.processed + j.failed)} of ${count(j.total)}`]
                    : count(j.processed)),
                h('td', { 'data-label': 'Failed' }, count(j.failed)),
                h('td', { 'data-label': 'Waiting' }, w ? count(w.messages) : '0'),
                h('td', { 'data-label': 'The oldest' }, !w || w.oldestSeconds === null ? '–' : `${seconds(w.oldestSeconds)} old`),
                h('td', { 'data-label': 'A second' }, w ? w.perSecond.toFixed(1) : '–'),
                h('td', { 'data-label': 'Left' }, w && w.stalledSeconds >= STALLED ? h('span', { class: 'state bad' }, `no progress for ${seconds(w.stalledSeconds)}`)
                    : w && w.etaSeconds !== null ? seconds(w.etaSeconds) : '–'),
                h('td', { 'data-label': 'Idle' }, j.idle_seconds === null ? '–' : seconds(j.idle_seconds)));
        })));
}

/** How many wait for each reason; a click shows only those, another one all. */
function chips(reasons, chosen, choose) {
    return reasons.length < 2 && !chosen ? null : h('p', { class: 'chips', id: 'reasons', 'data-key': 'reasons' }, reasons.map(({ sqlstate, letters, reason }) =>
        h('button', { type: 'button', 'data-key': sqlstate, 'aria-pressed': String(sqlstate === chosen), title: reason,
            onclick: () => choose({ code: sqlstate === chosen ? '' : sqlstate, letters: '' }) }, `${sqlstate}: ${count(letters)}`)));
}

function letterTable(letters, again) {
    if (!letters.length) {
        return h('p', { class: 'note', id: 'no-letters' }, 'There are none.');
    }
    return h('table', { class: 'cards', id: 'letters' },
        h('thead', {}, h('tr', {}, ['Message', 'Subject', 'Why', 'Failed', 'Size'].map(t => h('th', { scope: 'col' }, t)), h('td'))),
        h('tbody', {}, letters.map(l => h('tr', { 'data-key': l.id },
            h('th', { scope: 'row' }, l.id),
            h('td', { 'data-label': 'Subject' }, l.subject),
            h('td', { 'data-label': 'Why', class: 'result' }, `${l.reason} (${l.sqlstate})`),
            h('td', { 'data-label': 'Failed' }, `${ago(l.last_failed_at)}, ${plural(l.attempts, 'time')}`),
            h('td', { 'data-label': 'Size' }, bytes(l.payload_bytes)),
            h('td', { class: 'buttons' },
                h('button', { type: 'button', 'aria-label': `Payload of message ${l.id}`, onclick: () => payload(l) }, 'Payload'),
                h('button', { type: 'button', needs: 'operator', 'aria-label': `Replay message ${l.id}`, class: 'replay', onclick: () => replay(l, again) }, 'Replay'),
                h('button', { type: 'button', needs: 'operator', 'aria-label': `Discard message ${l.id}`, class: 'discard', onclick: () => discard(l, again) }, 'Discard'))))));
}

async function tried(what, again) {
    try {
        say(await what());
    } catch (e) {
        say(e.whole ?? 'Countersink does not answer.', true);
    }
    again();
}

async function payload(letter) {
    try {
        const all = await api.payload(letter.id);
        const text = new TextDecoder().decode(all.slice(0, LONGEST));
        read(`Message ${letter.id} on ${letter.subject}`, all.length > LONGEST ? `${text}\n… ${bytes(all.length)} in all` : text);
    } catch (e) {
        say(e.whole ?? 'Countersink does not answer.', true);
    }
}

const replay = (letter, again) => tried(async () => `Message ${letter.id} is applied again, as run ${(await api.replay(letter.id)).run}.`, again);

async function discard(letter, again) {
    if (await ask(`Discard message ${letter.id}?`, `It is deleted, with its ${bytes(letter.payload_bytes)}. Its results are lost unless somebody sends them again.`, 'Discard')) {
        await tried(async () => {
            await api.discard(letter.id);
            return `Message ${letter.id} is discarded.`;
        }, again);
    }
}

async function replayAll(code, waiting, again) {
    if (await ask(`Replay ${count(waiting)} messages?`, `All that wait${code ? ` for ${code}` : ''}. Each is applied again like a new message, as a run of its own.`, 'Replay')) {
        await tried(async () => `${plural(await api.replayAll(code), 'message')} to be applied again: see Runs.`, again);
    }
}

async function replayShown(letters, again) {
    if (await ask(`Replay ${letters.length} messages?`, 'Each is applied again like a new message, as a run of its own.', 'Replay')) {
        await tried(async () => {
            for (const letter of letters) {
                await api.replay(letter.id);
            }
            return `${letters.length} messages are applied again.`;
        }, again);
    }
}
