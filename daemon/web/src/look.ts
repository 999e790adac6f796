// What all charts have in common: colours of the style sheet, axes, and their size.

import type uPlot from "uplot";

/** A colour as the theme of this moment has it. `light-dark()` is resolved by a property that takes a colour. */
export function colour(name: string): string {
    const probe = (probes[name] ??= newProbe(name));
    return getComputedStyle(probe).color;
}

const probes: Record<string, HTMLElement> = {};

function newProbe(name: string): HTMLElement {
    const probe = document.createElement("span");
    probe.hidden = true;
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    return probe;
}

/** An axis in the page's own type and colours. */
export function axis(): uPlot.Axis {
    return {
        stroke: () => colour("--ink-2"),
        font: "12px system-ui, sans-serif",
        grid: { show: false },
        ticks: { stroke: () => colour("--line"), width: 1, size: 4 },
    };
}

/** Time of day, here. */
export function clock(seconds: number, withSeconds: boolean): string {
    const second = withSeconds ? ({ second: "2-digit" } as const) : {};
    return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...second });
}

/** Calls with the width whenever it changes, until the function that comes back is called. */
export function onResize(element: HTMLElement, call: (width: number) => void): () => void {
    let last = element.clientWidth;
    const observer = new ResizeObserver(() => {
        const width = element.clientWidth;
        if (width > 0 && width !== last) call((last = width));
    });
    observer.observe(element);
    return () => observer.disconnect();
}
