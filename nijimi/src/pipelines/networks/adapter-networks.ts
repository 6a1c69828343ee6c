/** The networks beside a U-Net that a pipeline may have: ControlNets, T2I-Adapters, IP-Adapters, a safety checker. */
import type { Folder } from "../../checkpoints/files/folder.ts";
import type { SourceInput } from "../../checkpoints/files/open-source.ts";
import { loadCheckpoint, type LoadedCheckpoint } from "../../checkpoints/layouts/load.ts";
import type { Component } from "../../checkpoints/layouts/component.ts";
import { NijimiError, unknownName } from "../../errors.ts";
import type { PipelineOptions } from "../pipeline.ts";
import { type ControlNetwork, controlNetwork } from "./control.ts";
import { type ImagePrompt, imagePrompt } from "./image-prompt.ts";
import { type SafetyChecker, safetyNetwork } from "./safety.ts";
import { type PictureFeatures, pictureFeatures } from "./picture-features.ts";
import type { Unet, UnetOptions } from "./unet.ts";

const SAFETY_CLASS = "StableDiffusionSafetyChecker";

/** Something that is closed with the pipeline. */
export interface Opened {
  close(): Promise<void>;
}

/** See the file's header. */
export interface AdapterNetworks {
  control(name: string): Promise<ControlNetwork>;
  adapter(name: string): Promise<PictureFeatures>;
  imagePrompt(name: string): Promise<ImagePrompt>;
  safetyChecker(): Promise<SafetyChecker>;
  /** Gives back what is not run at every step. */
  releaseEncoders(): Promise<void>;
  releaseControls(): Promise<void>;
}

/** @param opened what is read is added to it */
export function adapterNetworks(
  checkpoint: LoadedCheckpoint,
  options: PipelineOptions & Pick<UnetOptions, "pooledWidth">,
  unet: Unet,
  opened: Opened[],
): AdapterNetworks {
  const load = async (source: SourceInput | Folder): Promise<LoadedCheckpoint> => {
    const loaded = await loadCheckpoint(source, { http: options.http });
    opened.push(loaded);
    return loaded;
  };
  const encoder = memoised(async () => {
    if (options.imageEncoder === undefined) return ownEncoder(checkpoint);
    const { components, name, title } = await load(options.imageEncoder);
    return components.image_encoder ?? refuse(name, title, "a CLIP image tower");
  });
  const controls = memoised(async (name) => {
    const { components, ...loaded } = await load(named("ControlNet", name, options.controlNets));
    const found = components.controlnet ?? refuse(loaded.name, loaded.title, "a ControlNet");
    return controlNetwork(found, options);
  });
  const adapters = memoised(async (name) => {
    const { components, ...loaded } = await load(named("T2I-Adapter", name, options.adapters));
    const found = Object.values(components).find(({ className }) => className === "T2IAdapter");
    return pictureFeatures(found ?? refuse(loaded.name, loaded.title, "a T2I-Adapter"), options);
  });
  const imagePrompts = memoised(async (name) => {
    const { components, ...loaded } = await load(named("IP-Adapter", name, options.imagePrompts));
    const { image_projection: projection, ip_adapter: attention } = components;
    if (projection === undefined || attention === undefined)
      return refuse(loaded.name, loaded.title, "an IP-Adapter");
    const parts = { encoder: await encoder.get(""), projection, attention };
    const json = checkpoint.components.unet.config;
    return imagePrompt(parts, { parameters: unet.parameters, json }, options);
  });
  const checkers = memoised(async () => {
    const from = options.safetyChecker;
    const { components, name, title } = from === undefined ? checkpoint : await load(from);
    const found = Object.values(components).find(({ className }) => className === SAFETY_CLASS);
    if (found !== undefined) return safetyNetwork(found, options);
    if (from !== undefined) return refuse(name, title, "a safety checker");
    throw new NijimiError(
      "option",
      `${name} has no safety checker: give one as safetyChecker, or do not ask for it.`,
    );
  });
  return {
    safetyChecker: () => checkers.get(""),
    control: controls.get,
    adapter: adapters.get,
    imagePrompt: imagePrompts.get,
    async releaseEncoders() {
      for (const all of [adapters, imagePrompts, checkers])
        for (const network of await all.made()) await network.release();
    },
    async releaseControls() {
      for (const network of await controls.made()) await network.release();
    },
  };
}

function named(
  kind: string,
  name: string,
  sources: Readonly<Record<string, SourceInput | Folder>> = {},
): SourceInput | Folder {
  if (!Object.hasOwn(sources, name)) throw unknownName(kind, name, Object.keys(sources));
  return sources[name];
}

function ownEncoder({ components, name }: LoadedCheckpoint): Component {
  const own = components.image_encoder;
  if (own !== undefined) return own;
  throw new NijimiError(
    "option",
    `${name} has no image encoder: give the one that the IP-Adapter was trained with as imageEncoder.`,
  );
}

function refuse(name: string, title: string, wanted: string): never {
  throw new NijimiError("unsupported", `${name} is ${title}; expected ${wanted}.`);
}

/** One value per name, made once. A failure is not kept. */
export function memoised<T>(make: (name: string) => Promise<T>) {
  const values = new Map<string, Promise<T>>();
  return {
    get(name: string): Promise<T> {
      const known = values.get(name) ?? make(name);
      values.set(name, known);
      known.catch(() => values.delete(name));
      return known;
    },
    made: () => Promise.all(values.values()),
  };
}
