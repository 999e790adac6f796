// Buttons at the head of the page, and the few words that a screen reader is told unasked.

import type { Refresher } from "./refresh";

export class Controls {
    private readonly state = element("span", "state");
    private readonly pause = element("button", "button");
    private readonly now = element("button", "button");
    private readonly theme = element("button", "button");
    private readonly news = element("p", "hidden");
    private told: string;

    constructor(
        private readonly refresher: Refresher,
        private readonly redraw: () => void,
    ) {
        this.told = refresher.summary;
        this.state.id = "state";
        this.pause.id = "pause";
        this.now.id = "now";
        this.theme.id = "theme";
        this.now.textContent = "Refresh";
        this.news.id = "news";
        this.news.setAttribute("role", "status");
        this.pause.addEventListener("click", () => refresher.setPaused(!refresher.isPaused));
        this.now.addEventListener("click", () => void refresher.refresh());
        this.theme.addEventListener("click", () => this.turn());
        // The system may change its mind.
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
        document.getElementById("controls")?.append(this.state, this.pause, this.now, this.theme, this.news);
        this.show();
    }

    /** Shows how things are; tells only what is new. */
    show(): void {
        const { isPaused, silentSince, summary } = this.refresher;
        const state = silentSince ? "silent" : isPaused ? "paused" : "live";
        this.state.dataset.state = state;
        const words = { live: "Live", paused: "Paused", silent: `No answer since ${silentSince?.toLocaleTimeString() ?? ""}` };
        setText(this.state, words[state]);
        setText(this.pause, isPaused ? "Go on" : "Pause");
        setText(this.theme, isDark() ? "Light" : "Dark");
        this.theme.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
        const news = silentSince ? "mmscope does not answer" : summary;
        if (news !== this.told) setText(this.news, news);
        this.told = news;
        this.redraw();
    }

    private turn(): void {
        const theme = isDark() ? "light" : "dark";
        document.documentElement.dataset.theme = theme;
        try {
            localStorage.setItem("mmscope-theme", theme);
        } catch {
            // For this page alone then.
        }
        this.show();
    }
}

function isDark(): boolean {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Text that stays the same is left alone: a screen reader would read it again. */
function setText(node: HTMLElement, text: string): void {
    if (node.textContent !== text) node.textContent = text;
}

function element<K extends "span" | "button" | "p">(name: K, className: string): HTMLElementTagNameMap[K] {
    const node = document.createElement(name);
    node.className = className;
    if (node instanceof HTMLButtonElement) node.type = "button";
    return node;
}
