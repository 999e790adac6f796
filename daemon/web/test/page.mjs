// The live page in a real Chromium: every view, by mouse, by keyboard, without JavaScript, in both themes and at a phone's width.
// `cargo xtask page` starts the daemons and says by the environment where they are:
//   CHROMIUM  the browser's program            ENDED   a replay that has reached its end
//   MOVING    a replay under way, or a daemon  QUIET   a replay in which nothing is wrong; may be absent
//   REFRESHES how many                         SHOTS   folder for screenshots; may be absent
//   PREFIX    of the screenshots' names        LIVE      set where what is told changes while it is compared

import { Browser, alive, check, equal, refresh, refreshed, refreshes, violations } from "./browser.mjs";

const { CHROMIUM, ENDED, MOVING, QUIET, REFRESHES = "1000", SHOTS, PREFIX = "page", LIVE } = process.env;
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 1.5, hasTouch: true, isMobile: true };
/** All that comes over the network for the first view. */
const WEIGHT = 150_000;

const browser = await Browser.start(CHROMIUM, [ENDED, MOVING, QUIET].filter(Boolean));
const figures = [];

/** The beginning of the page, so high at most: nobody looks at a picture that is ten screens long. */
async function shot(page, name, most = 2400) {
    if (!SHOTS) return;
    const { width, height } = await page.evaluate(() => {
        scrollTo(0, 0);
        return { width: innerWidth, height: document.documentElement.scrollHeight };
    });
    const clip = { x: 0, y: 0, width, height: Math.min(height, most) };
    await page.screenshot({ path: `${SHOTS}/${PREFIX}-${name}.png`, fullPage: true, clip });
}

const subjectPath = async (page) => page.locator("#subjects tbody a.subject").first().getAttribute("href");

const tests = {
    async "first data, weight, nothing from elsewhere"() {
        const page = await browser.page();
        const session = await page.context().newCDPSession(page);
        await session.send("Network.enable");
        let [bytes, requests] = [0, 0];
        session.on("Network.loadingFinished", ({ encodedDataLength }) => ((bytes += encodedDataLength), (requests += 1)));
        await page.goto(ENDED);
        await refreshed(page, 1);
        const [painted, drawn] = await page.evaluate(() => {
            const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN;
            return [first, performance.now()];
        });
        figures.push(`${bytes} bytes in ${requests} requests; first figures after ${Math.round(painted)} ms, charts by ${Math.round(drawn)} ms`);
        check(bytes > 10_000 && bytes < WEIGHT, `${bytes} bytes`);
        await page.context().close();
    },

    async "what is wrong is told as the API tells it"() {
        const page = await browser.page(ENDED);
        const api = await page.evaluate(async () => (await fetch("api/v1/overview")).json());
        equal(await page.locator(".alerts li").count(), api.wrong.alerts.length, "alerts");
        equal(await page.locator(".alerts li > p:last-child").allTextContents(), api.wrong.alerts.map((alert) => alert.text), "their text");
        const rows = await page.locator("table.hazards tbody tr").evaluateAll((rows) => rows.map((row) => row.id));
        equal(rows, api.wrong.hazards.map((hazard) => `hazard-${hazard.class}`), "hazards");
        check(rows.length >= 10 && api.wrong.told.length > 0, "the recording has them");
        equal(await page.locator("#hooks tbody tr").count(), api.hooks.length, "hooks");
        const lost = await page.locator("table.lost tbody tr").count();
        equal(lost, Object.keys(api.losses.lost).length, "losses");
        equal(await page.locator("table.blame tbody tr").count(), api.blame.recent.waiters.length, "waiters");
        await page.context().close();
    },

    async "subjects are ordered by any measure, of either period, and the address keeps it"() {
        const page = await browser.page(ENDED);
        await refreshed(page, 1);
        const api = await page.evaluate(async () => (await fetch("api/v1/overview")).json());
        for (const period of ["15m", "start"]) {
            await page.locator(`#period-${period}`).click();
            await page.locator(`#period-${period}[aria-current]`).waitFor();
            for (const [by, key] of [["hold", "hold_ns"], ["wait", "wait_ns"], ["userfaults", "userfaults_ns"], ["forced", "forced_flushes"], ["windows", "windows_ns"]]) {
                await page.locator(`#by-${by}`).click();
                await page.locator(`th[aria-sort=descending] #by-${by}`).waitFor();
                equal(await page.locator("th[aria-sort]").count(), 1, "sorted columns");
                const sums = period === "15m" ? "recent" : "total";
                const rows = api.subjects.rows.filter((row) => row[sums]?.[key] > 0).sort((a, b) => b[sums][key] - a[sums][key]);
                const names = await page.locator("#subjects tbody a.subject").allTextContents();
                equal(names, rows.slice(0, 15).map((row) => row.comm), `by ${by}, ${period}`);
                check(page.url().endsWith(`?period=${period}&by=${by}`), page.url());
                equal(await page.evaluate(() => document.activeElement?.id), `by-${by}`, "focus stays");
            }
        }
        await page.goBack();
        await page.locator("th[aria-sort=descending] #by-forced").waitFor();
        await page.context().close();
    },

    async "heatmaps are drawn, and read by pointer and keyboard"() {
        const page = await browser.page(ENDED);
        await refreshed(page, 1);
        equal(await page.locator(".heat canvas").count(), 4, "heatmaps");
        for (const name of ["windows", "holds", "waits", "userfaults"]) {
            const colours = await page.locator(`#heat-${name} canvas`).evaluate((canvas) => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return new Set(new Uint32Array(data.buffer)).size;
            });
            check(colours > 3, `${name} has ${colours} colours`);
        }
        const heat = page.locator("#heat-windows");
        const cell = async () => {
            await page.keyboard.press("ArrowLeft");
            return heat.locator(".tip").textContent();
        };
        const cells = async () => {
            await heat.focus();
            return [await cell(), await cell()];
        };
        let [told, next] = await cells();
        check(/^\d\d:\d\d:\d\d to \d\d:\d\d:\d\d: [1-9]\d* of .+ to /.test(told), told);
        // What has just begun to watch may have one column yet.
        for (let tries = 0; next === told && tries < 20; tries += 1) {
            await refresh(page);
            [told, next] = await cells();
        }
        check(next !== told, "the next cell is another one");
        await page.keyboard.press("Escape");
        check((await heat.locator(".tip").textContent()).startsWith("Point"), "the cursor is gone");
        const box = await heat.locator(".u-over").boundingBox();
        await page.mouse.move(box.x + box.width - 4, box.y + box.height / 2);
        check(/ of |not /.test(await heat.locator(".tip").textContent()), "the pointer's cell");
        await page.context().close();
    },

    async "a click on a subject leads to its page"() {
        const page = await browser.page(ENDED);
        await refreshed(page, 1);
        // Of those that have metrics of their own.
        await page.locator("#period-start").click();
        await page.locator("#period-start[aria-current]").waitFor();
        const name = await page.locator("#subjects tbody a.subject").first().textContent();
        await page.locator("#subjects tbody a.subject").first().click();
        await page.locator("#about h1").waitFor();
        check((await page.locator("#about h1").textContent()).startsWith(name), "its name");
        await refreshed(page, 1);
        equal(await page.locator("#minutes canvas").count(), 1, "its chart");
        check((await page.locator("table.spread tbody tr").count()) > 1, "its durations");
        equal(await page.locator("#minutes-table tbody tr").count(), 15, "its minutes");
        await refresh(page);
        equal(await page.locator("#minutes canvas").count(), 1, "its chart after a refresh");
        await page.locator(".back a").click();
        await page.locator("#subjects").waitFor();
        browser.expected.push("404");
        const nobody = await browser.page(`${ENDED}subject?comm=%3Cb%3Enobody&cgroup=/`);
        check((await nobody.locator("#about").textContent()).includes("<b>nobody"), "names are text");
        await nobody.context().close();
        browser.expected.pop();
        await page.context().close();
    },

    async "the keyboard is enough"() {
        const page = await browser.page(ENDED);
        await refreshed(page, 1);
        await page.keyboard.press("Tab");
        equal(await page.evaluate(() => document.activeElement?.className), "skip", "the first stop");
        const seen = new Set();
        for (let n = 0; n < 300; n += 1) {
            const at = await page.evaluate(() => {
                const { id, className, tagName } = document.activeElement;
                const style = getComputedStyle(document.activeElement);
                return { key: id || className || tagName, ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
            });
            if (at.key === "BODY") break;
            check(at.ring, `${at.key} has a focus ring`);
            seen.add(at.key);
            await page.keyboard.press("Tab");
        }
        for (const stop of ["pause", "now", "theme", "by-hold", "period-start", "subject", "heat-windows", "heat-holds", "scroll"]) {
            check(seen.has(stop), `${stop} is a stop: ${[...seen].join(", ")}`);
        }
        await page.locator("#pause").focus();
        await page.keyboard.press("Enter");
        equal(await page.locator("#state").textContent(), "Paused", "the state");
        await page.locator("#by-wait").focus();
        await page.keyboard.press("Enter");
        await page.locator("th[aria-sort] #by-wait").waitFor();
        await page.locator("#subjects tbody a.subject").first().focus();
        await page.keyboard.press("Enter");
        await page.locator("#about h1").waitFor();
        await page.context().close();
    },

    async "axe-core finds nothing"() {
        for (const colorScheme of ["light", "dark"]) {
            for (const size of [{}, PHONE]) {
                const page = await browser.page(ENDED, { colorScheme, ...size });
                await refreshed(page, 1);
                await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
                equal(await violations(page), [], `front page, ${colorScheme}`);
                await page.goto(ENDED + (await subjectPath(page)));
                await refreshed(page, 1);
                await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
                equal(await violations(page), [], `subject's page, ${colorScheme}`);
                await page.context().close();
            }
        }
    },

    async "at a phone's width nothing sticks out"() {
        const page = await browser.page(ENDED, PHONE);
        await refreshed(page, 1);
        const path = await subjectPath(page);
        for (const address of [ENDED, ENDED + path]) {
            await page.goto(address);
            await refreshed(page, 1);
            const [width, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
            check(width <= view, `${address}: ${width} of ${view} pixels`);
        }
        await page.context().close();
    },

    async "themes follow the system until one is chosen, and the choice is kept"() {
        const page = await browser.page(ENDED, { colorScheme: "dark" });
        await refreshed(page, 1);
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const dark = await ground();
        await page.locator("#theme").click();
        const light = await ground();
        check(dark !== light, `${dark}, ${light}`);
        await page.reload();
        await refreshed(page, 1);
        equal(await ground(), light, "after a reload");
        await page.context().close();
    },

    async "without JavaScript the figures are there"() {
        const page = await browser.page(ENDED, { javaScriptEnabled: false });
        check((await page.locator("#subjects tbody tr").count()) > 3, "subjects");
        check((await page.locator(".alerts li, .calm").count()) > 0, "what is wrong");
        check((await page.locator(".quantiles").count()) === 4, "quantiles");
        await page.locator("#by-hold").click();
        await page.locator("th[aria-sort] #by-hold").waitFor();
        await page.locator("#subjects tbody a.subject").first().click();
        await page.locator("#about h1").waitFor();
        await page.context().close();
    },

    async "what is shown changes while one reads, and what was unfolded stays"() {
        const page = await browser.page(MOVING);
        await refreshed(page, 1);
        await page.locator("#hooks details").last().evaluate((details) => (details.open = true));
        await page.locator("#by-hold").focus();
        const uptime = () => page.locator("#host").getAttribute("data-uptime");
        const before = await uptime();
        await page.waitForFunction((before) => document.getElementById("host").dataset.uptime !== before, before);
        check(await page.locator("#hooks details").last().evaluate((details) => details.open), "still unfolded");
        equal(await page.evaluate(() => document.activeElement?.id), "by-hold", "focus stays");
        await page.locator("#pause").click();
        const paused = await refreshes(page);
        await refresh(page);
        equal(await refreshes(page), paused + 1, "paused, it refreshes when asked alone");
        await page.context().close();
    },

    async "a server that does not answer is told once, and again when it does"() {
        const page = await browser.page(ENDED);
        await refreshed(page, 1);
        browser.expected.push("ERR_INTERNET_DISCONNECTED");
        await page.context().setOffline(true);
        await page.locator('#state[data-state="silent"]').waitFor();
        check((await page.locator("#news").textContent()).includes("does not answer"), "told to who listens");
        await page.context().setOffline(false);
        await page.locator('#state[data-state="live"]').waitFor();
        browser.expected.pop();
        await page.context().close();
    },

    async "many refreshes leave nothing behind"() {
        const page = await browser.page(ENDED);
        await refreshed(page, 1);
        await page.locator("#pause").click();
        // As the button does it, without the way of a click through the browser.
        const turn = (times) =>
            page.evaluate(async (times) => {
                const done = () => Number(document.documentElement.dataset.refreshes);
                for (let n = 0; n < times; n += 1) {
                    const before = done();
                    document.getElementById("now").click();
                    while (done() === before) await new Promise((resolve) => setTimeout(resolve, 1));
                }
            }, times);
        const all = Number(REFRESHES);
        await turn(all / 5);
        const before = await alive(page);
        const started = Date.now();
        await turn((all / 5) * 4);
        const each = (Date.now() - started) / ((all / 5) * 4);
        const after = await alive(page);
        const grown = (name) => after[name] - before[name];
        figures.push(
            `${all} refreshes, ${each.toFixed(1)} ms each; the last ${(all / 5) * 4} added ${grown("heap")} bytes to ${before.heap} of heap, ` +
                `${grown("nodes")} nodes to ${before.nodes}, ${grown("listeners")} listeners to ${before.listeners}`,
        );
        check(grown("heap") < 500_000, `the heap grew by ${grown("heap")} bytes`);
        // A page that moves has other rows later.
        check(grown("nodes") < (LIVE ? 2_000 : 100) && grown("listeners") < 10 && grown("documents") <= 2, JSON.stringify({ before, after }));
        await page.context().close();
    },

    async "screenshots"() {
        for (const colorScheme of ["light", "dark"]) {
            for (const [size, options] of [["", {}], ["-phone", PHONE]]) {
                const page = await browser.page(ENDED, { colorScheme, ...options });
                await refreshed(page, 1);
                await page.locator("#pause").click();
                await refresh(page);
                await shot(page, `front-${colorScheme}${size}`, size ? 1600 : 2400);
                await page.goto(ENDED + (await subjectPath(page)));
                await refreshed(page, 1);
                await shot(page, `subject-${colorScheme}${size}`, size ? 1600 : 2400);
                await page.context().close();
            }
            if (!QUIET) continue;
            const page = await browser.page(QUIET, { colorScheme });
            await refreshed(page, 1);
            await shot(page, `quiet-${colorScheme}`);
            await page.context().close();
        }
    },

    async "no page complained"() {
        equal(browser.complaints, [], "complaints");
    },
};

/** Where things move, what one sees cannot be compared with what the API tells a moment later. */
const STILL = ["what is wrong is told", "subjects are ordered"];

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
    if (LIVE && STILL.some((still) => name.startsWith(still))) continue;
    const started = Date.now();
    try {
        await test();
        console.log(`page: passed: ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
        failed += 1;
        console.log(`page: failed: ${name}: ${String(error.message ?? error).replaceAll("\n", " ")}`);
    }
}
await browser.stop();
console.log(`page: Chromium ${browser.version}`);
for (const figure of figures) console.log(`page: figure: ${figure}`);
process.exitCode = failed === 0 ? 0 : 1;
