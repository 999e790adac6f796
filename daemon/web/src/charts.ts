// Which charts the page has, and their data. One object for each element that wants one, gone with it.

import { ask } from "./ask";
import { type Column, HeatData } from "./data";
import { Heatmap } from "./heatmap";
import { Minutes, type Minute } from "./minutes";

interface Host {
    run: number | null;
    uptime_ms: number;
    wall_ms: number | null;
}

interface HeatAnswer {
    host: Host;
    span_ms: number;
    columns: Column[];
}

interface SubjectAnswer {
    host: Host;
    minutes: Minute[];
    minute_ms: number;
    not_measured: Record<string, string>;
}

interface Chart {
    readonly element: HTMLElement;
    draw(): void;
    destroy(): void;
}

export class Charts {
    private readonly heat = new HeatData();
    private readonly shown = new Map<HTMLElement, Chart>();

    /** Fetches what is new, and draws it. */
    async refresh(): Promise<void> {
        this.forget();
        const heats = [...document.querySelectorAll<HTMLElement>("[data-heat]")];
        if (heats.length > 0) await this.refreshHeat(heats);
        const minutes = document.getElementById("minutes");
        if (minutes) await this.refreshMinutes(minutes);
    }

    redraw(): void {
        for (const chart of this.shown.values()) chart.draw();
    }

    private async refreshHeat(elements: HTMLElement[]): Promise<void> {
        let answer = await get<HeatAnswer>(`api/v1/heat?since=${this.heat.since}`);
        if (!this.heat.isOf(answer.host.run, answer.host.uptime_ms)) {
            this.heat.clear();
            answer = await get<HeatAnswer>("api/v1/heat?since=0");
        }
        this.heat.add(answer.host, answer.span_ms, answer.columns);
        for (const element of elements) {
            const chart = this.shown.get(element) ?? new Heatmap(element, this.heat);
            this.shown.set(element, chart);
            chart.draw();
        }
    }

    private async refreshMinutes(element: HTMLElement): Promise<void> {
        // The page is gone with its subject; the chart stays as it was.
        const answer = await get<SubjectAnswer | undefined>(`api/v1/subject${location.search}`, 404);
        if (!answer) return;
        const chart = this.shown.get(element);
        const minutes = chart instanceof Minutes ? chart : new Minutes(element);
        this.shown.set(element, minutes);
        const since = ((answer.host.wall_ms ?? answer.host.uptime_ms) - answer.host.uptime_ms) / 1000;
        minutes.set(answer.minutes, since + answer.minute_ms / 1000, since, answer.not_measured);
        minutes.draw();
    }

    private forget(): void {
        for (const [element, chart] of this.shown) {
            if (!element.isConnected) {
                chart.destroy();
                this.shown.delete(element);
            }
        }
    }
}

/** Data of the server's; undefined for the status that may be. */
async function get<T>(path: string, absent?: number): Promise<T> {
    const answer = await ask(path);
    if (answer.status === absent) return undefined as T;
    if (!answer.ok) throw new Error(answer.statusText);
    return JSON.parse(answer.text) as T;
}
