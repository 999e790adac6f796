// What a dashboard of this house is made of, in Grafana's own types. The task writes one file for each dashboard that
// says `check({...})`, and the compiler tells what is not of these types: unknown fields, values outside of an
// enumeration, what is missing.

import type * as common from '@grafana/grafana-foundation-sdk/common';
import type * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import type * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import type * as units from '@grafana/grafana-foundation-sdk/units';
import type * as bargauge from '@grafana/grafana-foundation-sdk/bargauge';
import type * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import type * as stat from '@grafana/grafana-foundation-sdk/stat';
import type * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import type * as table from '@grafana/grafana-foundation-sdk/table';
import type * as text from '@grafana/grafana-foundation-sdk/text';
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

// JSON's view of a type: an enumeration is the set of its values, and there are no methods.
type Json<T> = 0 extends 1 & T ? any
    : T extends string ? `${T}`
    : T extends number | boolean | null | undefined ? T
    : T extends (infer Item)[] ? Json<Item>[]
    : { [Key in keyof T as T[Key] extends (...args: any[]) => any ? never : Key]: Json<T[Key]> };

// Without the fields that are given anew.
type Except<T, Fields extends string> = { [Key in keyof T as Key extends Fields ? never : Key]: T[Key] };

type Unit = (typeof units)[keyof typeof units];
type Link = Json<dashboard.DashboardLink>;

// The schema leaves an override's value open; these are those of its fields.
type Property =
    | { id: 'unit', value: Unit }
    | { id: 'links', value: Link[] }
    | { id: 'mappings', value: Json<dashboard.ValueMapping>[] }
    | { id: 'thresholds', value: Json<dashboard.ThresholdsConfig> }
    | { id: 'custom.width', value: number }
    | { id: 'custom.cellOptions', value: Json<common.TableCellOptions> };

// It leaves a transformation's options open too; these are as Grafana documents them.
type Transformation =
    | { id: 'merge', options: {} }
    | { id: 'organize', options: { excludeByName: Record<string, boolean>, indexByName: Record<string, number>, renameByName: Record<string, string> } }
    | { id: 'groupingToMatrix', options: { rowField: string, columnField: string, valueField: string } };

interface FieldConfig<Custom> {
    defaults: Except<Json<dashboard.FieldConfig>, 'unit' | 'custom'> & { unit: Unit, custom?: Json<Custom> };
    overrides: { matcher: { id: 'byName', options: string }, properties: Property[] }[];
}

interface Query extends Except<Json<prometheus.Dataquery>, 'refId'> { refId: string }

type Panel<Type extends string, Options, Custom> =
    Except<Json<dashboard.Panel>, 'type' | 'options' | 'fieldConfig' | 'targets' | 'transformations'> & {
        type: Type;
        options: Json<Options>;
        fieldConfig: FieldConfig<Custom>;
        targets?: Query[];
        transformations?: Transformation[];
    };

type AnyPanel =
    | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>
    | Panel<'stat', stat.Options, never>
    | Panel<'bargauge', bargauge.Options, never>
    | Panel<'heatmap', heatmap.Options, heatmap.FieldConfig>
    | Panel<'table', table.Options, table.FieldConfig>
    | Panel<'state-timeline', statetimeline.Options, statetimeline.FieldConfig>
    | Panel<'text', text.Options, never>
    | Json<dashboard.RowPanel>;

interface Annotation extends Except<Json<dashboard.AnnotationQuery>, 'target'> { target: Query }

interface Variable extends Except<Json<dashboard.VariableModel>, 'query'> {
    query: string | { query: string, refId: string };
}

export interface Dashboard extends Except<Json<dashboard.Dashboard>, 'panels' | 'templating' | 'annotations'> {
    panels: AnyPanel[];
    templating: { list: Variable[] };
    annotations: { list: Annotation[] };
}

export declare function check(dashboard: Dashboard): void;
