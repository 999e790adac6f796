// The objects of deploy/kubernetes in the API's own types. The task writes one file for each object that says
// `check('Kind', {...})`, and the compiler tells what is not of that type: unknown fields, what is missing, values that are none.

import type { IDaemonSet } from 'kubernetes-models/apps/v1';
import type { IConfigMap, INamespace, IServiceAccount } from 'kubernetes-models/v1';
import type { IPodMonitor, IPrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';

export interface Kinds {
    ConfigMap: IConfigMap;
    DaemonSet: IDaemonSet;
    Namespace: INamespace;
    PodMonitor: IPodMonitor;
    PrometheusRule: IPrometheusRule;
    ServiceAccount: IServiceAccount;
}

export declare function check<Kind extends keyof Kinds>(kind: Kind, object: Kinds[Kind]): void;
