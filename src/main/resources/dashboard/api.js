// Calls of the API. A cookie says who calls; the header X-Countersink says that this page does, and no other site's.

/** An answer that is no success. */
export class Refused extends Error {
    constructor(status, problem) {
        super(problem.detail ?? `The answer was ${status}.`);
        this.status = status;
        this.hint = problem.hint ?? '';
        this.code = problem.code ?? '';
    }

    get whole() {
        return this.hint ? `${this.message} ${this.hint}` : this.message;
    }
}

async function send(path, options = {}) {
    const headers = { 'X-Countersink': 'dashboard', ...options.headers };
    const answer = await fetch(path, { credentials: 'same-origin', cache: 'no-store', ...options, headers });
    if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        throw new Refused(answer.status, problem);
    }
    return answer;
}

/** A number of JSON, or a string, which is left alone. */
const NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;

/** Rows of the database: a number that JavaScript cannot hold digit for digit stays text. */
const exact = async path => JSON.parse((await (await send(path)).text()).replace(NUMBERS,
    found => found[0] === '"' || String(Number(found)) === found ? found : `"${found}"`));

const json = async (path, options) => (await send(path, options)).json();
const view = name => `api/views/${encodeURIComponent(name)}`;

export const session = () => json('api/session');
export const signIn = token => json('api/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
export const signOut = () => send('api/session', { method: 'DELETE' });

export const now = () => json('api/now');
export const lags = () => json('api/now/lags');
export const mergeTimes = () => json('api/now/merge-times');

export const activity = () => json('api/activity');
/** Those that are firing come first. */
export const alerts = async () => (await Promise.all([json('api/alerts?state=firing&limit=100'), json('api/alerts?state=resolved&limit=20')])).flatMap(page => page.items);
export const audit = after => json(`api/audit?${new URLSearchParams(after ? { after, limit: 20 } : { limit: 20 })}`);
export const moment = time => json(`api/now/at?${new URLSearchParams({ time })}`);

export const transactions = () => json('api/transactions');
export const endTransaction = t => send(`api/transactions/${t.pid}?${new URLSearchParams({ since: t.since })}`, { method: 'DELETE' });

export async function schedule(name) {
    const answer = await send(view(name));
    return { etag: answer.headers.get('ETag'), view: await answer.json() };
}

export const changeSchedule = (name, etag, changes) => json(`${view(name)}/schedule`, {
    method: 'PATCH',
    headers: { 'If-Match': etag, 'Content-Type': 'application/json' },
    body: JSON.stringify(changes),
});

export const details = name => json(`${view(name)}/details`);
export const explain = name => json(`${view(name)}/explain`);
export const quarantine = name => json(`${view(name)}/quarantine`);
export const row = (name, cell) => exact(`${view(name)}/row?${new URLSearchParams({ cell })}`);
export const sourceRows = (name, cell) => exact(`${view(name)}/row/sources?${new URLSearchParams({ cell })}`);
export const lastChange = (name, cell) => json(`${view(name)}/row/changed?${new URLSearchParams({ cell })}`);
export const trust = name => json(`${view(name)}/trust?limit=20`);
export const history = name => json(`${view(name)}/history`);
export const act = (name, action) => json(`${view(name)}/${action}`, { method: 'POST' });

export function runs({ view: of, state, after, limit = 20 }) {
    const query = new URLSearchParams({ limit });
    for (const [name, value] of Object.entries({ view: of, state, after })) {
        if (value) {
            query.set(name, value);
        }
    }
    return json(`api/runs?${query}`);
}

export const cancelRun = id => json(`api/runs/${id}`, { method: 'DELETE' });

export const ingest = () => json('api/ingest');
export const jobs = after => json(`api/jobs?limit=50&after=${after || 0}`);
export const deadLetters = (after, sqlstate) => json(`api/dead-letters?${new URLSearchParams({ state: 'open', limit: 100, after: after || 0, ...(sqlstate ? { sqlstate } : {}) })}`);
export const deadLetterReasons = () => json('api/dead-letters/reasons?limit=100');
/** All that wait, for a reason or for any; returns how many. */
export async function replayAll(sqlstate) {
    let number = 0;
    for (let after = 0; after !== null;) {
        const { runs, next } = await json(`api/dead-letters/replay?${new URLSearchParams({ limit: 500, after, ...(sqlstate ? { sqlstate } : {}) })}`, { method: 'POST' });
        number += runs.length;
        after = next === null ? null : new URLSearchParams(next.split('?')[1]).get('after');
    }
    return number;
}
export const replay = id => json(`api/dead-letters/${id}/replay`, { method: 'POST' });
export const discard = id => send(`api/dead-letters/${id}`, { method: 'DELETE' });
export const payload = async id => new Uint8Array(await (await send(`api/dead-letters/${id}/payload`)).arrayBuffer());
