// A subject's last minutes: time in windows, lock hold, lock wait, each as a line of its own dash and colour.

import uPlot from "uplot";
import { time } from "./data";
import { axis, clock, colour, onResize } from "./look";

const HEIGHT = 200;
const MINUTE = 60;

export interface Minute {
    windows_ns: number;
    hold_ns: number;
    wait_ns: number;
    forced_flushes: number;
}

const LINES = [
    { key: "windows_ns", measure: "windows", label: "in windows", ink: "--line-1", dash: [] },
    { key: "hold_ns", measure: "hold", label: "lock held", ink: "--line-2", dash: [8, 4] },
    { key: "wait_ns", measure: "wait", label: "lock waited for", ink: "--line-3", dash: [2, 3] },
] as const;

export class Minutes {
    private readonly plot: uPlot;
    private readonly legend = document.createElement("ul");
    private readonly stopResizing: () => void;
    private data: uPlot.AlignedData = [[], [], [], []];
    private begins: number[] = [];

    constructor(readonly element: HTMLElement) {
        element.setAttribute("role", "img");
        element.setAttribute("aria-label", "Time in windows, lock hold and lock wait for each of the last minutes; a table follows");
        this.legend.className = "legend";
        element.append(this.legend);
        this.plot = new uPlot(this.options(), this.data, element);
        this.stopResizing = onResize(element, (width) => this.plot.setSize({ width, height: HEIGHT }));
    }

    /** `begin` is when the running minute began, `since` when the watching began; seconds since the epoch. */
    set(minutes: Minute[], begin: number, since: number, notMeasured: Record<string, string>): void {
        // A line has an end as well: the running minute's value, told again where that minute ends.
        const told = minutes.concat(minutes.slice(-1));
        this.begins = told.map((_, n) => begin - (minutes.length - 1 - n) * MINUTE);
        const lines = LINES.map(({ key, measure }) =>
            told.map((minute, n) => (measure in notMeasured || (this.begins[n] ?? 0) + MINUTE <= since ? null : minute[key] / 1e9)),
        );
        this.data = [this.begins, ...lines] as uPlot.AlignedData;
        const entries = LINES.filter(({ measure }) => !(measure in notMeasured)).map(({ label, ink }) => {
            const entry = document.createElement("li");
            entry.className = `key ${ink.slice(2)}`;
            entry.textContent = label;
            return entry;
        });
        if (this.legend.children.length !== entries.length) this.legend.replaceChildren(...entries);
    }

    draw(): void {
        this.plot.setData(this.data);
    }

    destroy(): void {
        this.stopResizing();
        this.plot.destroy();
    }

    private options(): uPlot.Options {
        return {
            width: Math.max(200, this.element.clientWidth),
            height: HEIGHT,
            legend: { show: false },
            cursor: { show: false },
            scales: {
                x: { time: true, range: () => [this.begins[0] ?? 0, this.begins.at(-1) ?? 0] },
                y: { range: (_, __, max) => [0, (max || 1e-6) * 1.1] },
            },
            axes: [
                { ...axis(), size: 28, space: 60, values: (_, splits) => splits.map((at) => clock(at, false)) },
                {
                    ...axis(),
                    size: 64,
                    grid: { show: true, stroke: () => colour("--line"), width: 1 },
                    values: (_, splits) => splits.map((at) => (at === 0 ? "0" : time(at * 1e9))),
                },
            ],
            series: [
                {},
                ...LINES.map(({ ink, dash }) => ({
                    stroke: () => colour(ink),
                    width: 2,
                    dash: [...dash],
                    points: { show: false },
                    paths: uPlot.paths.stepped?.({ align: 1 }) ?? null,
                })),
            ],
        } as uPlot.Options;
    }
}
