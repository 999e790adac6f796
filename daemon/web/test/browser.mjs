// A browser that watches what pages do: everything that they load, say and refuse is remembered.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** For whatever a loaded machine takes long for. */
export const PATIENCE = 60_000;

export class Browser {
    /** What no page may do: errors, refusals of the policy, requests to others. */
    complaints = [];
    /** Console errors that a test provokes. */
    expected = [];

    static async start(program, addresses) {
        const browser = new Browser();
        browser.origins = addresses.map((address) => new URL(address).origin);
        // In a container as root there is no sandbox to be had; /dev/shm may be tiny.
        const args = ["--no-sandbox", "--disable-dev-shm-usage", "--js-flags=--expose-gc", "--enable-precise-memory-info"];
        browser.chromium = await chromium.launch({ executablePath: program, args });
        browser.version = browser.chromium.version();
        return browser;
    }

    /** A page of a context of its own; without an address an empty one. */
    async page(address, options = {}) {
        const context = await this.chromium.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", timezoneId: "UTC", ...options });
        context.setDefaultTimeout(PATIENCE);
        const page = await context.newPage();
        page.on("console", (message) => {
            const text = `console: ${message.type()}: ${message.text()}`;
            const isBad = ["error", "warning"].includes(message.type());
            if (isBad && !this.expected.some((expected) => text.includes(expected))) this.complaints.push(`${page.url()}: ${text}`);
        });
        page.on("pageerror", (error) => this.complaints.push(`${page.url()}: ${error}`));
        page.on("request", (request) => {
            if (!this.origins.includes(new URL(request.url()).origin)) this.complaints.push(`request to ${request.url()}`);
        });
        if (address) await page.goto(address);
        return page;
    }

    async stop() {
        await this.chromium.close();
    }
}

/** Waits until the page has refreshed so often. */
export async function refreshed(page, times) {
    await page.waitForFunction((times) => Number(document.documentElement.dataset.refreshes ?? 0) >= times, times, { timeout: PATIENCE });
}

/** How often it has. */
export function refreshes(page) {
    return page.evaluate(() => Number(document.documentElement.dataset.refreshes ?? 0));
}

/** Asks for one refresh by the page's own button, and waits for it. */
export async function refresh(page) {
    const before = await refreshes(page);
    await page.locator("#now").click();
    await refreshed(page, before + 1);
}

/** What axe-core complains of, a line each. It is run by the developer tools: the page's policy would not let it in. */
export async function violations(page) {
    await page.evaluate(await readFile(axeFile, "utf8"));
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}

/** Objects of the page that are alive after a collection. */
export async function alive(page) {
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    await session.send("HeapProfiler.enable");
    for (let n = 0; n < 3; n += 1) await session.send("HeapProfiler.collectGarbage");
    const { metrics } = await session.send("Performance.getMetrics");
    const metric = (name) => metrics.find((metric) => metric.name === name)?.value ?? NaN;
    const told = { heap: metric("JSHeapUsedSize"), nodes: metric("Nodes"), listeners: metric("JSEventListeners"), documents: metric("Documents") };
    await session.detach();
    return told;
}

export function check(condition, message) {
    if (!condition) throw new Error(message);
}

export function equal(found, wanted, what) {
    check(JSON.stringify(found) === JSON.stringify(wanted), `${what}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}
