// Fetches the page again and again and changes what differs, so that focus, selection and what is unfolded stay.

import { Idiomorph } from "idiomorph";
import { ask } from "./ask";
import type { Charts } from "./charts";

/** Between the end of a refresh and the next one. */
const PAUSE_MS = 2_000;

const MORPH = {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
        // What a chart has drawn is not the server's.
        beforeNodeMorphed: (old: Node): boolean => !(old instanceof HTMLElement && "keep" in old.dataset),
        beforeAttributeUpdated: (name: string, node: Element): boolean => !(name === "open" && node.localName === "details"),
    },
} as const;

export class Refresher {
    /** Called when something about the refreshing itself changed. */
    onChange: () => void = () => {};
    isPaused = false;
    /** When the server last did not answer; undefined while it does. */
    silentSince: Date | undefined;
    /** What is wrong, in a few words. */
    summary = summaryOf(document);

    private timer: number | undefined;
    private running: Promise<void> | undefined;
    private count = 0;

    constructor(private readonly charts: Charts) {
        document.addEventListener("visibilitychange", () => this.schedule(document.hidden ? undefined : 0));
        addEventListener("popstate", () => void this.refresh());
        document.addEventListener("click", (event) => this.follow(event));
    }

    start(): void {
        // The page itself has just come; its charts have not.
        void this.refresh(false);
    }

    setPaused(isPaused: boolean): void {
        this.isPaused = isPaused;
        this.schedule(0);
        this.onChange();
    }

    /** One refresh; a second one that is asked for meanwhile waits for the first. */
    async refresh(withPage = true): Promise<void> {
        await this.running;
        this.running ??= this.run(withPage).finally(() => (this.running = undefined));
        await this.running;
    }

    private async run(withPage: boolean): Promise<void> {
        clearTimeout(this.timer);
        try {
            if (withPage) await this.fetchPage();
            await this.charts.refresh();
            this.silentSince = undefined;
        } catch {
            this.silentSince ??= new Date();
        }
        this.count += 1;
        // For tests, and for who looks with the developer tools.
        document.documentElement.dataset.refreshes = String(this.count);
        this.schedule(PAUSE_MS);
        this.onChange();
    }

    private schedule(after: number | undefined): void {
        clearTimeout(this.timer);
        if (after !== undefined && !this.isPaused && !document.hidden) {
            this.timer = setTimeout(() => void this.refresh(), after);
        }
    }

    private async fetchPage(): Promise<void> {
        const answer = await ask(location.href);
        // A subject that is gone has a page too, which says so.
        if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
        const next = new DOMParser().parseFromString(answer.text, "text/html");
        for (const id of ["host", "main"]) {
            const [old, fresh] = [document.getElementById(id), next.getElementById(id)];
            if (!old || !fresh) throw new Error(`no ${id} in the answer`);
            Idiomorph.morph(old, fresh, MORPH);
        }
        document.title = next.title;
        this.summary = summaryOf(next);
    }

    /** Another order or period of the same page needs no new page. */
    private follow(event: MouseEvent): void {
        const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("#subjects th a, .periods a") : null;
        if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        history.pushState(null, "", link.href);
        void this.refresh();
    }
}

function summaryOf(page: Document): string {
    return page.querySelector<HTMLElement>("[data-summary]")?.dataset.summary ?? "";
}
