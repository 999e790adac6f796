// Answers of the server, or an error where one takes too long.

/** A server that takes longer has not answered. */
const PATIENCE_MS = 10_000;

export interface Answer {
    ok: boolean;
    status: number;
    statusText: string;
    text: string;
}

export async function ask(path: string): Promise<Answer> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), PATIENCE_MS);
    try {
        const answer = await fetch(path, { signal: late.signal, cache: "no-store" });
        const { ok, status, statusText } = answer;
        return { ok, status, statusText, text: await answer.text() };
    } finally {
        // A signal that waits for its time keeps the request until then.
        clearTimeout(timer);
    }
}
