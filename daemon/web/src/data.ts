// The columns of the heatmaps, as they come from /api/v1/heat: the first bucket that has something, then its counts.

export const HEATS = ["windows", "holds", "waits", "userfaults"] as const;
export type HeatName = (typeof HEATS)[number];

/** Buckets; the last one has no upper bound. */
export const BUCKETS = 27;
const FIRST_BOUND_NS = 256;
/** Time that a heatmap shows at least. */
const SHORTEST_MS = 60_000;

export type Column = { from_ms: number; to_ms: number } & Record<HeatName, number[] | null>;

export class HeatData {
    columns: Column[] = [];
    /** Wall clock at uptime zero, seconds. */
    epoch = 0;
    /** Uptime at the end, milliseconds. */
    end = 0;
    span = 900_000;
    private run: number | null = null;

    /** Uptime at the left edge: after a start there is not all of the span yet. */
    get begin(): number {
        return Math.max(this.end - this.span, Math.min(this.columns[0]?.from_ms ?? 0, this.end - SHORTEST_MS));
    }

    /** Uptime from which on columns are to be told again: the last one may have grown. */
    get since(): number {
        return this.columns.at(-1)?.from_ms ?? 0;
    }

    /** Whether what comes goes on with what is here. */
    isOf(run: number | null, uptime: number): boolean {
        return this.columns.length === 0 || (run === this.run && uptime >= this.end);
    }

    clear(): void {
        this.columns = [];
    }

    add(host: { run: number | null; uptime_ms: number; wall_ms: number | null }, span: number, columns: Column[]): void {
        [this.run, this.end, this.span] = [host.run, host.uptime_ms, span];
        this.epoch = ((host.wall_ms ?? host.uptime_ms) - host.uptime_ms) / 1000;
        const first = columns[0]?.from_ms ?? Infinity;
        const kept = this.columns.filter((column) => column.from_ms < first && column.to_ms > this.end - span);
        this.columns = kept.concat(columns);
    }

    /** Events in a bucket of a column. */
    static count(column: Column, heat: HeatName, bucket: number): number {
        const counts = column[heat];
        return counts?.length ? (counts[1 + bucket - (counts[0] ?? 0)] ?? 0) : 0;
    }
}

/** A duration with its unit. */
export function time(ns: number): string {
    const units: [number, string][] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
    const [size, unit] = units.find(([size]) => ns >= size) ?? [1, "ns"];
    const value = ns / size;
    return `${value >= 100 || size === 1 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)}\u202f${unit}`;
}

/** What durations of a bucket lie between. */
export function bounds(bucket: number): string {
    const below = FIRST_BOUND_NS * 2 ** bucket;
    if (bucket === 0) return `up to ${time(below)}`;
    return bucket === BUCKETS - 1 ? `over ${time(below / 2)}` : `${time(below / 2)} to ${time(below)}`;
}

/** The bound beneath a bucket, short: for an axis. */
export function floor(bucket: number): string {
    const ns = FIRST_BOUND_NS * 2 ** (bucket - 1);
    const units: [number, string][] = [[2 ** 30, "s"], [2 ** 20, "ms"], [2 ** 10, "µs"], [1, "ns"]];
    const [size, unit] = units.find(([size]) => ns >= size) ?? [1, "ns"];
    return `${Math.round(ns / size)}\u202f${unit}`;
}
