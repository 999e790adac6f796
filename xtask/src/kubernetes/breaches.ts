// The compiler must refuse each of these, or it holds nothing to the types: a check of the check, at every run.

import { check, Kinds } from './schema';

declare const set: Kinds['DaemonSet'];
declare const monitor: Kinds['PodMonitor'];
declare const rule: Kinds['PrometheusRule'];
type Set = NonNullable<Kinds['DaemonSet']['spec']>;
declare const spec: Set;
type Container = NonNullable<NonNullable<Set['template']['spec']>['containers']>[number];
const container = (container: Container) =>
    check('DaemonSet', { ...set, spec: { ...spec, template: { spec: { containers: [container] } } } });

// What is right is not refused.
check('DaemonSet', set);
check('PodMonitor', monitor);
container({ name: 'a', securityContext: { capabilities: { add: ['BPF'] } } });

// @ts-expect-error: no kind of ours
check('Deployment', set);
// @ts-expect-error: another version of the API
check('DaemonSet', { ...set, apiVersion: 'apps/v1beta1' });
// @ts-expect-error: no field of a DaemonSet's spec
check('DaemonSet', { ...set, spec: { ...spec, replicas: 3 } });
// @ts-expect-error: a field that must be there
check('DaemonSet', { ...set, spec: { selector: {} } });
// @ts-expect-error: a container without a name
container({ image: 'a' });
// @ts-expect-error: no field of a security context
container({ name: 'a', securityContext: { readOnlyRootFileSystem: true } });
// @ts-expect-error: not a list
container({ name: 'a', securityContext: { capabilities: { add: 'BPF' } } });
// @ts-expect-error: no field of a probe
container({ name: 'a', livenessProbe: { httpGet: { port: 1 }, failures: 3 } });
// @ts-expect-error: no field of an endpoint
check('PodMonitor', { ...monitor, spec: { ...monitor.spec, podMetricsEndpoints: [{ port: 'a', every: '30s' }] } });
// @ts-expect-error: no action of relabelling
check('PodMonitor', { ...monitor, spec: { ...monitor.spec, podMetricsEndpoints: [{ relabelings: [{ action: 'dropp' }] }] } });
// @ts-expect-error: a rule without an expression
check('PrometheusRule', { ...rule, spec: { groups: [{ name: 'a', rules: [{ record: 'b' }] }] } });
