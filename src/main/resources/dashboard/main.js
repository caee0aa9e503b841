// The frame: signing in, the address, and asking again when the server says that something has changed, while somebody looks.

import * as activity from './activity.js';
import * as api from './api.js';
import { become, h, say, show } from './dom.js';
import * as ingestion from './ingestion.js';
import * as now from './now.js';
import * as runs from './runs.js';
import * as view from './view.js';

const PAUSE = 2000;
const DEAF = 30000;
const pages = { now, view, ingestion, runs, activity };
const app = document.getElementById('app');
const themes = { '': 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' };

let timer = 0;
let turn = 0;
let trouble = '';
let shown = null;
let events = null;
let live = false;
let deafUntil = 0;
let busy = false;
let missed = false;

/** A part of the address, as it is if somebody has typed what cannot be decoded. */
function decoded(part) {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

/** The page and its parameters, from the address: #/view/shop.order_fact?tab=runs */
function address() {
    const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
    const [page, ...rest] = path.split('/');
    const name = rest.map(decoded).join('/');
    return {
        page: pages[page] && (page !== 'view' || name) ? page : 'now',
        name,
        query: new URLSearchParams(query),
    };
}

/** Writes a parameter, or several, into the address, without a step in the history. */
function choose(name, value) {
    const { query } = address();
    for (const [key, wanted] of Object.entries(typeof name === 'string' ? { [name]: value } : name)) {
        if (wanted) {
            query.set(key, wanted);
        } else {
            query.delete(key);
        }
    }
    const path = location.hash.replace(/^#/, '').split('?')[0] || '/now';
    history.replaceState(null, '', `#${path}${query.size ? `?${query}` : ''}`);
    again();
}

function again() {
    clearTimeout(timer);
    timer = 0;
    tick();
}

/** Server-sent events say when to ask again. While there is no such stream, the page asks every two seconds. */
function listen() {
    if (events || document.hidden || Date.now() < deafUntil || !('EventSource' in window)) {
        return;
    }
    const mine = events = new EventSource('api/events');
    mine.addEventListener('open', () => { live = true; });
    mine.addEventListener('changed', () => {
        live = true;
        if (busy) {
            missed = true;
        } else {
            again();
        }
    });
    mine.addEventListener('error', () => {
        deafen();
        deafUntil = Date.now() + DEAF;
        timer ||= setTimeout(tick, PAUSE);
    });
}

function deafen() {
    events?.close();
    events = null;
    live = false;
}

async function tick() {
    busy = true;
    missed = false;
    const mine = ++turn;
    await load(mine);
    if (mine !== turn) {
        return;
    }
    busy = false;
    if (document.hidden || document.getElementById('token')) {
        timer = 0;
    } else if (missed) {
        again();
    } else {
        listen();
        timer = live ? 0 : setTimeout(tick, PAUSE);
    }
}

async function load(mine) {
    const route = address();
    const page = pages[route.page];
    try {
        const data = await page.load(route);
        if (mine !== turn) {
            return;
        }
        trouble = '';
        draw(route, page.render(route, data, { choose, again }));
    } catch (e) {
        if (mine !== turn) {
            return;
        }
        if (e.status === 401) {
            signInPage();
            return;
        }
        trouble = e instanceof api.Refused ? e.whole : 'Countersink does not answer. It is tried again every two seconds.';
        draw(route, e.status === 404 ? h('p', { class: 'alone' }, e.whole) : null);
    }
}

function draw(route, content) {
    document.title = `${{ now: 'Now', view: route.name, ingestion: 'Ingestion', runs: 'Runs', activity: 'Activity' }[route.page]} – Countersink`;
    const key = `${route.page}/${route.name}`;
    const before = document.getElementById('main');
    if (shown !== key && before) {
        before.replaceChildren();
    }
    show(app,
        h('header', { 'data-key': 'top' },
            h('a', { class: 'brand', href: '#/now' }, 'Countersink'),
            h('nav', { 'aria-label': 'Pages' }, ['now', 'activity', 'ingestion', 'runs'].map(page =>
                h('a', { href: `#/${page}`, 'aria-current': page === route.page ? 'page' : null }, page[0].toUpperCase() + page.slice(1)))),
            h('div', { class: 'right' },
                h('button', { type: 'button', id: 'theme', onclick: nextTheme }, themes[theme()]),
                h('button', { type: 'button', id: 'sign-out', onclick: signOut }, 'Sign out'))),
        trouble && content === null ? h('p', { class: 'trouble', role: 'alert', 'data-key': 'trouble' }, trouble) : null,
        h('main', { id: 'main', tabindex: -1, 'data-key': 'main', class: trouble ? 'old' : '' }, content === null ? [...(before?.childNodes ?? [])].map(n => n.cloneNode(true)) : content),
        h('footer', { 'data-key': 'foot' }, h('a', { href: 'ui/try.html' }, 'Try the API')));
    if (shown !== key && shown !== null) {
        document.getElementById('main').focus({ preventScroll: true });
        scrollTo(0, 0);
    }
    shown = key;
}

function signInPage() {
    shown = null;
    deafen();
    document.title = 'Sign in – Countersink';
    if (document.getElementById('token')) {
        return;
    }
    document.getElementById('said').replaceChildren();
    app.replaceChildren(h('main', { class: 'sign-in' },
        h('h1', {}, 'Countersink'),
        h('form', {
            onsubmit: async event => {
                event.preventDefault();
                const field = document.getElementById('token');
                try {
                    become((await api.signIn(field.value.trim())).role);
                    app.replaceChildren();
                    again();
                } catch (e) {
                    document.getElementById('refused').textContent = e.status === 401
                        ? 'This token is not valid.'
                        : e.whole ?? 'Countersink does not answer.';
                    field.select();
                }
            },
        },
        h('label', { for: 'token' }, 'Token'),
        h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'where refused' }),
        h('p', { id: 'where', class: 'note' }, 'A named one, or that of COUNTERSINK_API_TOKEN; if that is not set, the log has one.'),
        h('p', { id: 'refused', class: 'refused', role: 'alert' }),
        h('button', { type: 'submit', class: 'main' }, 'Sign in'))));
    document.getElementById('token').focus();
}

async function signOut() {
    try {
        await api.signOut();
    } catch (e) {
        if (e.status !== 401) {
            say(e.whole ?? 'Countersink does not answer.', true);
            return;
        }
    }
    clearTimeout(timer);
    turn++;
    signInPage();
}

function theme() {
    return localStorage.getItem('theme') ?? '';
}

function nextTheme() {
    const names = Object.keys(themes);
    localStorage.setItem('theme', names[(names.indexOf(theme()) + 1) % names.length]);
    applyTheme();
    view.restyle();
    again();
}

function applyTheme() {
    document.documentElement.dataset.theme = theme();
}

async function begin() {
    const { signed_in: signedIn, role } = await api.session().catch(() => ({ signed_in: true })); // if it fails, so does what follows, and says so
    become(role ?? 'owner');
    if (signedIn) {
        again();
    } else {
        signInPage();
    }
}

applyTheme();
addEventListener('hashchange', () => document.getElementById('token') ? null : again());
document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    timer = 0;
    if (document.hidden) {
        deafen();
    }
    if (!document.hidden && !document.getElementById('token')) {
        again();
    }
});
begin();
