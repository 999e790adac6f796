// The compiler must refuse each of these, or it holds nothing to the schema: a check of the check, at every run.

import { check, Dashboard } from './schema';

declare const good: Dashboard;
type Panel = Dashboard['panels'][number];
type Of<Type> = Extract<Panel, { type: Type }>;
declare const lines: Of<'timeseries'>;
declare const table: Of<'table'>;
declare const heatmap: Of<'heatmap'>;
declare const stat: Of<'stat'>;
const panel = (panel: Panel) => check({ ...good, panels: [panel] });

// What is right is not refused.
check(good);
panel({ ...lines, fieldConfig: { ...lines.fieldConfig, defaults: { unit: 's', custom: { drawStyle: 'bars' } } } });

// @ts-expect-error: no field of a dashboard
check({ ...good, tittle: '' });
// @ts-expect-error: a field that must be there
check({ panels: good.panels, templating: good.templating, annotations: good.annotations });
// @ts-expect-error: a number that is no cursor
check({ ...good, graphTooltip: 7 });
// @ts-expect-error: no kind of variable
check({ ...good, templating: { list: [{ type: 'queries', name: 'a', query: '' }] } });
// @ts-expect-error: no kind of panel
panel({ ...lines, type: 'time-series' });
// @ts-expect-error: no field of a panel
panel({ ...lines, tittle: '' });
// @ts-expect-error: no unit
panel({ ...lines, fieldConfig: { ...lines.fieldConfig, defaults: { unit: 'second' } } });
// @ts-expect-error: no style of drawing
panel({ ...lines, fieldConfig: { ...lines.fieldConfig, defaults: { unit: 's', custom: { drawStyle: 'curve' } } } });
// @ts-expect-error: no field of this panel's fields
panel({ ...table, fieldConfig: { ...table.fieldConfig, defaults: { unit: 's', custom: { drawStyle: 'bars' } } } });
// @ts-expect-error: options of another panel
panel({ ...heatmap, options: stat.options });
// @ts-expect-error: no option
panel({ ...heatmap, options: { ...heatmap.options, calculated: false } });
// @ts-expect-error: no form of a query's result
panel({ ...lines, targets: [{ refId: 'A', expr: 'a', format: 'timeseries' }] });
// @ts-expect-error: no field of a query
panel({ ...lines, targets: [{ refId: 'A', expr: 'a', legend: '' }] });
// @ts-expect-error: a query without an expression
panel({ ...lines, targets: [{ refId: 'A' }] });
// @ts-expect-error: no property of a field
panel({ ...table, fieldConfig: { ...table.fieldConfig, overrides: [{ matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'units', value: 's' }] }] } });
// @ts-expect-error: no cell
panel({ ...table, fieldConfig: { ...table.fieldConfig, overrides: [{ matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'custom.cellOptions', value: { type: 'colour-text' } }] }] } });
// @ts-expect-error: no transformation
panel({ ...table, transformations: [{ id: 'organise', options: { excludeByName: {}, indexByName: {}, renameByName: {} } }] });
