/** A network whose session takes low-rank adapters: what is compiled when, for all networks that adapters are for. */
import type { Component } from "../../checkpoints/layouts/component.ts";
import type { Sym } from "../../graph/primitives.ts";
import type { InputSpec, MapTree } from "../../graph/trace.ts";
import type { Layer, Scope } from "../../nn/layer.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import {
  type AdapterLoad,
  type Factors,
  lowRankInputs,
  lowRankInterceptor,
  lowRankSpecs,
  type LowRankSites,
  sitesOf,
} from "./low-rank.ts";
import { renewable } from "./renewable.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./weights.ts";

type Inputs<Specs> = MapTree<Specs, Sym>;

/** What a session must be able to do. */
interface Needs {
  /** Optional inputs of the network that are in use. */
  readonly features: readonly string[];
  readonly sites: LowRankSites;
  readonly load: AdapterLoad;
}

/** How a network is traced. */
export interface AdaptedOptions<Specs, Out> extends RuntimeOptions {
  readonly component: Pick<Component, "entries">;
  /** For its parameters. */
  readonly layer: Pick<Layer<never, unknown>, "parameters">;
  /** Inputs with these optional features in use. */
  readonly specs: (features: readonly string[]) => Specs;
  readonly forward: (inputs: Inputs<Specs>, scope: Scope) => Out;
}

/** A network that is compiled when it is first run. */
export interface AdaptedNetwork<Specs, Out> {
  /**
   * Runs the network.
   *
   * @param features optional inputs in use; a session that has none of them is replaced by one that has
   * @param inputs all inputs of those features, and, by `neutral`, of features that the session has from before
   */
  run(
    features: readonly string[],
    inputs: (features: readonly string[]) => MapTree<Specs, Tensor>,
    load: AdapterLoad,
  ): Promise<MapTree<Out, Tensor>>;
  /** Makes the session ready. */
  prepare(features: readonly string[], load: AdapterLoad): Promise<void>;
  release(): Promise<void>;
}

/** See the file's header. */
export function adaptedNetwork<Specs extends object, Out>(
  options: AdaptedOptions<Specs, Out>,
): AdaptedNetwork<Specs, Out> {
  const { component, layer, specs, forward } = options;
  const { parameters } = layer;

  const sessions = renewable(async (needs: Needs) => {
    const weights = await bindWeights(
      component,
      Object.keys(parameters),
      options,
      needs.load.merged,
    );
    type All = { network: Specs; adapters: Record<string, Factors<InputSpec>> };
    const all: All = { network: specs(needs.features), adapters: lowRankSpecs(needs.sites) };
    const run = await compile(
      (inputs: Inputs<All>) => {
        const intercept =
          Object.keys(needs.sites).length === 0
            ? undefined
            : lowRankInterceptor(inputs.adapters as Record<string, Factors<Sym>>);
        return forward(inputs.network as Inputs<Specs>, parameterScope({ intercept }));
      },
      all,
      { ...sessionOptions(options), ...weights },
    );
    let last: { load: AdapterLoad; factors: Record<string, Factors<Tensor>> } | undefined;
    return {
      needs,
      dispose: () => run.dispose(),
      /** Factors of the latest load are kept: all steps of a picture share them. */
      async run(network: MapTree<Specs, Tensor>, load: AdapterLoad) {
        if (last?.load !== load) last = { load, factors: await lowRankInputs(needs.sites, load) };
        const given = { network, adapters: last.factors } as MapTree<All, Tensor>;
        return (await run(given)) as MapTree<Out, Tensor>;
      },
    };
  }, mergeNeeds);

  const sessionFor = (features: readonly string[], load: AdapterLoad) =>
    sessions.get({ features, load, sites: sitesOf(load, parameters) });
  return {
    async run(features, inputs, load) {
      const session = await sessionFor(features, load);
      return session.run(inputs(session.needs.features), load);
    },
    prepare: async (features, load) => void (await sessionFor(features, load)),
    release: () => sessions.release(),
  };
}

/** Features and sites only grow; merged weights must be exactly those asked for. */
function mergeNeeds(old: Needs, asked: Needs): Needs {
  const hasAll =
    asked.features.every((feature) => old.features.includes(feature)) &&
    Object.keys(asked.sites).every((path) => path in old.sites);
  if (hasAll && asked.load.mergedKey === old.load.mergedKey) return old;
  return {
    features: [...new Set([...old.features, ...asked.features])],
    sites: { ...old.sites, ...asked.sites },
    load: asked.load,
  };
}
