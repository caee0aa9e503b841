// The operations of api/openapi.json, each with a form that sends it.

import { h } from './dom.js';

const at = path => `..${path}`;
const headers = { 'X-Countersink': 'dashboard' };

const [api, session] = await Promise.all([at('/api/openapi.json'), at('/api/session')].map(async path => (await fetch(path, { headers })).json()));

document.getElementById('who').textContent = session.signed_in ? `${session.name}, ${session.role}` : 'Nobody is signed in.';
document.getElementById('operations').replaceChildren(...api.tags.map(tag =>
    h('section', {}, h('h2', {}, tag.name), operations().filter(o => o.tags.includes(tag.name)).map(form))));

function operations() {
    return Object.entries(api.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
}

/** What a reference of the document stands for. */
function found(thing) {
    return thing.$ref ? thing.$ref.slice(2).split('/').reduce((part, name) => part[name], api) : thing;
}

function form(o) {
    const id = `${o.method} ${o.path}`;
    const key = id.replace(/\W+/g, '-');
    const fields = (o.parameters ?? []).map(found).map(p => [p, field(`${key}-${p.name}`, p)]);
    const body = o.requestBody && h('textarea', { id: `${key}-body`, rows: 4, cols: 60, spellcheck: 'false' });
    const answer = h('pre', { tabindex: 0, role: 'status', 'aria-label': `answer to ${id}` });
    return h('details', {},
        h('summary', {}, h('code', {}, id), ` ${o.summary}${o['x-role'] ? ` (${o['x-role']})` : ''}`),
        h('form', { class: 'schedule', onsubmit: event => { event.preventDefault(); send(o, fields, body, answer); } },
            fields.map(([p, input]) => h('p', {}, h('label', { for: input.id }, `${p.name}${p.required ? ' *' : ''}`), input, h('span', { class: 'note' }, ` ${p.description ?? ''}`))),
            body ? h('p', {}, h('label', { for: body.id }, 'Body, JSON'), body) : null,
            h('button', { type: 'submit' }, 'Send')),
        answer);
}

function field(id, p) {
    return p.schema.enum
        ? h('select', { id, required: p.required }, (p.required ? [] : ['']).concat(p.schema.enum).map(value => h('option', { value }, value)))
        : h('input', { id, required: p.required, placeholder: p.schema.examples?.[0] ?? '', autocomplete: 'off' });
}

async function send(o, fields, body, answer) {
    const query = new URLSearchParams();
    const sent = { ...headers };
    let path = o.path;
    for (const [p, { value }] of fields) {
        if (p.in === 'path') {
            path = path.replace(`{${p.name}}`, encodeURIComponent(value));
        } else if (value !== '' && p.in === 'query') {
            query.set(p.name, value);
        } else if (value !== '') {
            sent[p.name] = value;
        }
    }
    if (body) {
        sent['Content-Type'] = 'application/json';
    }
    answer.textContent = '…';
    try {
        const reply = await fetch(at(path) + (query.size ? `?${query}` : ''), { method: o.method, headers: sent, body: body?.value });
        const text = await reply.text();
        const location = reply.headers.get('Location');
        answer.textContent = [`${reply.status} ${reply.statusText}`, location && `Location: ${location}`, pretty(text)].filter(Boolean).join('\n');
    } catch {
        answer.textContent = 'Countersink does not answer.';
    }
}

function pretty(text) {
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text.slice(0, 10000);
    }
}
