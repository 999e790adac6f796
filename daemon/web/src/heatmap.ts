// A heatmap: time to the right, duration upwards by powers of two, the darker (in the dark: the brighter) the more events.
// Arrow keys go from cell to cell; what is under the pointer or the cursor is told in words.

import uPlot from "uplot";
import { BUCKETS, type Column, HeatData, type HeatName, bounds, floor } from "./data";
import { axis, clock, colour, onResize } from "./look";

const SHADES = 7;
const HEIGHT = 190;
/** Rows that are shown at least, so that a few buckets do not fill the height. */
const ROWS = 10;

export class Heatmap {
    private readonly plot: uPlot;
    private readonly tip = document.createElement("p");
    private readonly heat: HeatName;
    private readonly stopResizing: () => void;
    private rows: [number, number] = [0, ROWS];
    private most = 1;
    /** The cell that the keyboard is at: how many columns back, and the bucket. */
    private cell: { back: number; bucket: number } | undefined;

    constructor(
        readonly element: HTMLElement,
        private readonly data: HeatData,
    ) {
        this.heat = element.dataset.heat as HeatName;
        element.tabIndex = 0;
        element.setAttribute("role", "application");
        element.setAttribute("aria-roledescription", "heatmap");
        element.setAttribute("aria-label", `${element.dataset.title ?? ""}, heatmap: arrow keys go from cell to cell`);
        this.tip.className = "tip";
        this.tip.setAttribute("aria-live", "polite");
        this.plot = new uPlot(this.options(), [[0, 1], [0, 0]], element);
        this.tip.textContent = HINT;
        element.append(this.tip);
        element.addEventListener("keydown", (event) => this.key(event));
        element.addEventListener("blur", () => this.leave());
        this.stopResizing = onResize(element, (width) => this.plot.setSize({ width, height: HEIGHT }));
    }

    draw(): void {
        const filled = this.data.columns.flatMap((column) => {
            const counts = column[this.heat];
            return counts?.length ? [[counts[0] ?? 0, (counts[0] ?? 0) + counts.length - 2] as const] : [];
        });
        const low = Math.min(BUCKETS - ROWS, ...filled.map(([first]) => first));
        const high = Math.max(ROWS, ...filled.map(([, last]) => last + 1));
        const middle = filled.length ? low : 4;
        this.rows = [middle, Math.min(BUCKETS, Math.max(high, middle + ROWS))];
        this.most = Math.max(1, ...this.data.columns.flatMap((column) => column[this.heat]?.slice(1) ?? []));
        this.plot.setData([[0, 1], [0, 0]]);
    }

    destroy(): void {
        this.stopResizing();
        this.plot.destroy();
    }

    private options(): uPlot.Options {
        const { data } = this;
        return {
            width: Math.max(200, this.element.clientWidth),
            height: HEIGHT,
            legend: { show: false },
            cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
            scales: {
                x: { time: true, range: () => [data.epoch + data.begin / 1000, data.epoch + data.end / 1000] },
                y: { range: () => this.rows },
            },
            axes: [
                { ...axis(), size: 28, space: 70, values: (_, splits) => splits.map((at) => clock(at, at % 60 !== 0)) },
                {
                    ...axis(),
                    size: 56,
                    splits: () => range(this.rows[0], this.rows[1]).filter((bucket) => bucket % 4 === 3),
                    values: (_, splits) => splits.map(floor),
                },
            ],
            series: [{}, { show: true, points: { show: false }, paths: () => null }],
            hooks: {
                drawClear: [(plot) => this.paint(plot)],
                setCursor: [(plot) => this.point(plot)],
            },
        };
    }

    private paint(plot: uPlot): void {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.fillStyle = colour("--heat-ground");
        ctx.fillRect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        const shades = range(0, SHADES).map((n) => colour(`--heat-${n + 1}`));
        for (const column of this.data.columns) this.paintColumn(plot, column, shades);
        this.paintCursor(plot);
        ctx.restore();
    }

    private paintColumn(plot: uPlot, column: Column, shades: string[]): void {
        const { ctx, bbox } = plot;
        const [left, right] = this.sides(plot, column);
        const counts = column[this.heat];
        if (counts === null) {
            ctx.fillStyle = colour("--heat-unknown");
            for (let y = bbox.top; y < bbox.top + bbox.height; y += 6) ctx.fillRect(left, y, right - left, 2);
            return;
        }
        const first = counts[0] ?? 0;
        for (const [n, count] of counts.slice(1).entries()) {
            if (count === 0) continue;
            const shade = this.most === 1 ? SHADES - 1 : Math.floor((Math.log(count) / Math.log(this.most)) * (SHADES - 1));
            ctx.fillStyle = shades[shade] ?? "";
            const [top, bottom] = [first + n + 1, first + n].map((row) => plot.valToPos(row, "y", true)) as [number, number];
            ctx.fillRect(left, top, Math.max(1, right - left), bottom - top - devicePixelRatio);
        }
    }

    private paintCursor(plot: uPlot): void {
        const column = this.cell && this.data.columns.at(-1 - this.cell.back);
        if (!this.cell || !column) return;
        const [left, right] = this.sides(plot, column);
        const [top, bottom] = [this.cell.bucket + 1, this.cell.bucket].map((row) => plot.valToPos(row, "y", true)) as [number, number];
        plot.ctx.strokeStyle = colour("--focus");
        plot.ctx.lineWidth = 2 * devicePixelRatio;
        plot.ctx.strokeRect(left - 2, top - 2, right - left + 4, bottom - top + 4);
    }

    private sides(plot: uPlot, column: Column): [number, number] {
        const at = (ms: number): number => Math.round(plot.valToPos(this.data.epoch + ms / 1000, "x", true));
        return [at(column.from_ms), at(column.to_ms)];
    }

    private point(plot: uPlot): void {
        const { left, top } = plot.cursor;
        if (left === undefined || top === undefined || left < 0 || top < 0) {
            if (!this.cell) this.tip.textContent = HINT;
            return;
        }
        const at = (plot.posToVal(left, "x") - this.data.epoch) * 1000;
        const column = this.data.columns.find((column) => column.from_ms <= at && at < column.to_ms);
        this.say(column, Math.floor(plot.posToVal(top, "y")));
    }

    private say(column: Column | undefined, bucket: number): void {
        let text = "not watched at that time";
        if (column) {
            const [from, to] = [column.from_ms, column.to_ms].map((ms) => clock(this.data.epoch + ms / 1000, true));
            const count = HeatData.count(column, this.heat, bucket);
            const what = column[this.heat] === null ? "not measured" : `${count} of ${bounds(bucket)}`;
            text = `${from} to ${to}: ${what}`;
        }
        if (this.tip.textContent !== text) this.tip.textContent = text;
    }

    private key(event: KeyboardEvent): void {
        const moves: Record<string, [number, number]> = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
        const move = moves[event.key];
        if (event.key === "Escape") return this.leave();
        if (!move || this.data.columns.length === 0) return;
        event.preventDefault();
        const from = this.cell ?? this.fullest();
        const [back, bucket] = this.cell ? [from.back + move[0], from.bucket + move[1]] : [from.back, from.bucket];
        this.cell = {
            back: Math.min(this.data.columns.length - 1, Math.max(0, back)),
            bucket: Math.min(this.rows[1] - 1, Math.max(this.rows[0], bucket)),
        };
        this.say(this.data.columns.at(-1 - this.cell.back), this.cell.bucket);
        this.plot.redraw(false);
    }

    /** The last column that has something, at its longest events: there the keyboard begins. */
    private fullest(): { back: number; bucket: number } {
        const { columns } = this.data;
        const at = columns.findLastIndex((column) => (column[this.heat]?.length ?? 0) > 0);
        const counts = columns[at]?.[this.heat];
        return { back: at < 0 ? 0 : columns.length - 1 - at, bucket: counts ? (counts[0] ?? 0) + counts.length - 2 : this.rows[0] };
    }

    private leave(): void {
        this.cell = undefined;
        this.tip.textContent = HINT;
        this.plot.redraw(false);
    }
}

const HINT = "Point at a cell, or use the arrow keys.";

function range(from: number, to: number): number[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);
}

