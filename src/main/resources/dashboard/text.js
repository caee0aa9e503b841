// Numbers and times for people.

const whole = new Intl.NumberFormat('en');

export const count = n => n === null || n === undefined ? '–' : whole.format(n);

export function seconds(s) {
    if (s === null || s === undefined) {
        return '–';
    }
    if (s < 1) {
        return s < 0.0005 ? '0 s' : `${Math.round(s * 1000)} ms`;
    }
    if (s < 120) {
        return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
    }
    if (s < 7200) {
        return `${Math.round(s / 60)} min`;
    }
    return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

export const ago = time => time ? `${seconds(Math.max(0, (Date.now() - new Date(time)) / 1000))} ago` : 'never';

export const clock = time => time ? new Date(time).toLocaleTimeString('en-GB') : '–';

/** Milliseconds as tally.schedule takes them. */
export const interval = ms => ms === null || ms === undefined ? '' : ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`;

export function bytes(n) {
    const power = n < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(n) / 10));
    return power ? `${(n / 1024 ** power).toFixed(1)} ${['KB', 'MB', 'GB', 'TB'][power - 1]}` : `${n} B`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
