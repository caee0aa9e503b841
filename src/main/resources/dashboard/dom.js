// Elements from functions, and a page that changes without losing focus, selection or scroll position.

/** An element. Properties beginning with "on" are handlers; children may be text, elements, arrays and null. */
export function h(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        set(element, name, value);
    }
    append(element, children);
    return element;
}

const roles = ['reader', 'operator', 'owner'];
let role = '';

/** What the token may do: a button that needs another role is disabled. */
export const become = name => { role = name; };

function set(element, name, value) {
    if (name === 'needs') {
        if (roles.indexOf(role) < roles.indexOf(value)) {
            set(element, 'disabled', true);
            set(element, 'title', `This needs a token with the role ${value}.`);
        }
        return;
    }
    if (name.startsWith('on')) {
        handle(element, name.slice(2), value);
    } else if (name === 'value') {
        element.value = value ?? '';
        element.wanted = element.value;
    } else if (value === true) {
        element.setAttribute(name, '');
    } else if (value !== null && value !== undefined && value !== false) {
        element.setAttribute(name, value);
    }
}

/** Text of the database may have characters that turn what follows them round, or that nobody sees; here one sees them. */
const seen = text => text.replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g,
    c => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);

function append(element, children) {
    for (const child of children.flat(Infinity)) {
        if (child !== null && child !== undefined && child !== false) {
            element.append(child instanceof Node ? child : seen(String(child)));
        }
    }
}

/** Handlers are looked up when something happens, so an element that is kept gets those of the newer page. */
function handle(element, type, handler) {
    element.handlers ??= {};
    if (!(type in element.handlers)) {
        element.addEventListener(type, event => element.handlers[type]?.(event));
    }
    element.handlers[type] = handler;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes, ...children) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
        element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

/** Makes the children of one element those of another, and keeps whatever is the same. */
export function show(parent, ...nodes) {
    const wanted = document.createElement('div');
    append(wanted, nodes);
    morphChildren(parent, wanted);
}

function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const child of old.children) {
        if (child.dataset?.key) {
            keyed.set(child.dataset.key, child);
        }
    }
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
        let same = next.dataset?.key ? keyed.get(next.dataset.key) : at;
        if (same && alike(same, next)) {
            if (same !== at) {
                old.insertBefore(same, at);
            }
            at = same.nextSibling;
            morph(same, next);
        } else {
            old.insertBefore(next, at);
        }
    }
    while (at) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
    }
}

function alike(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.dataset?.key ?? '') === (b.dataset?.key ?? '');
}

function morph(old, fresh) {
    if (old.nodeType === Node.TEXT_NODE) {
        if (old.data !== fresh.data) {
            old.data = fresh.data;
        }
        return;
    }
    if (old.dataset?.keep) { // somebody else draws, or types, in it
        return;
    }
    for (const { name } of [...old.attributes]) {
        if (!fresh.hasAttribute(name) && name !== 'open') {
            old.removeAttribute(name);
        }
    }
    for (const { name, value } of fresh.attributes) {
        if (old.getAttribute(name) !== value) {
            old.setAttribute(name, value);
        }
    }
    for (const [type, handler] of Object.entries(fresh.handlers ?? {})) {
        handle(old, type, handler);
    }
    if ('wanted' in fresh && old.wanted !== fresh.wanted) {
        old.wanted = fresh.wanted;
        if (document.activeElement !== old) {
            old.value = fresh.wanted;
        }
    }
    morphChildren(old, fresh);
}

/** Tells what has happened, to everybody. */
export function say(text, bad = false) {
    const said = document.getElementById('said');
    said.replaceChildren(h('p', { class: bad ? 'bad' : 'ok' }, text));
    clearTimeout(say.timer);
    say.timer = setTimeout(() => said.replaceChildren(), bad ? 12000 : 6000);
}

/** Asks before something that costs. Resolves to whether it is wanted. */
export function ask(title, text, verb) {
    return new Promise(resolve => {
        const dialog = h('dialog', { 'aria-labelledby': 'question' },
            h('h2', { id: 'question' }, title),
            h('p', {}, text),
            h('div', { class: 'buttons' },
                h('button', { type: 'button', class: 'main', onclick: () => dialog.close('yes') }, verb),
                h('button', { type: 'button', onclick: () => dialog.close('') }, 'Leave it')));
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
        document.body.append(dialog);
        dialog.showModal();
    });
}

/** Shows a long text in a window of its own. */
export function read(title, text) {
    const dialog = h('dialog', { class: 'wide', 'aria-labelledby': 'question' },
        h('h2', { id: 'question' }, title),
        h('pre', { tabindex: 0 }, text),
        h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'main', onclick: () => dialog.close() }, 'Close')));
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
}
