// The live page. The server renders all of it; this fetches it anew, changes what differs, and draws the charts.

import { Charts } from "./charts";
import { Controls } from "./controls";
import { Refresher } from "./refresh";

function start(): void {
    const charts = new Charts();
    const refresher = new Refresher(charts);
    const controls = new Controls(refresher, () => charts.redraw());
    refresher.onChange = () => controls.show();
    refresher.start();
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
