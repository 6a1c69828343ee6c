/**
 * What a page and its worker say to each other: calls with an id; for each, events and then its result or its error.
 * Plain data throughout, so that it can be cloned.
 */
import type {
  ModelFile,
  StoredModel,
  StoreProgress,
} from "../../checkpoints/storage/model-store.ts";
import type { StorageRoom } from "../../checkpoints/storage/room.ts";
import type { ErrorCode } from "../../errors.ts";
import type { Device } from "../../runtime/engine.ts";
import type { GenerationEvent } from "../events.ts";
import type { PipelineOptions } from "../pipeline.ts";
import type { Tasks } from "./tasks.ts";

/** Files that belong together, by relative path: what a folder picker gives. */
export interface PickedFolder {
  readonly name: string;
  readonly files: readonly { readonly path: string; readonly file: Blob }[];
}

/** A model or adapter: a file, a folder's files, a URL, or the name of one that is stored. */
export type ModelInput = Blob | PickedFolder | string | { readonly stored: string };

type Inputs = Readonly<Record<string, ModelInput>>;

/** {@link PipelineOptions} that can be sent. */
export interface WorkerPipelineOptions extends Omit<
  PipelineOptions,
  | "vae"
  | "loras"
  | "findLora"
  | "embeddings"
  | "controlNets"
  | "adapters"
  | "imagePrompts"
  | "imageEncoder"
  | "previewDecoder"
  | "tokenizers"
  | "http"
> {
  readonly vae?: ModelInput;
  readonly loras?: Inputs;
  readonly embeddings?: Inputs;
  readonly controlNets?: Inputs;
  readonly adapters?: Inputs;
  readonly imagePrompts?: Inputs;
  readonly imageEncoder?: ModelInput;
  readonly previewDecoder?: ModelInput;
  readonly tokenizers?: Readonly<Record<string, PickedFolder>>;
}

/** What a page needs to know of a loaded model. */
export interface ModelInfo {
  readonly name: string;
  readonly family: string;
  readonly isSdxl: boolean;
  /** Side of the pictures that it was trained on. */
  readonly defaultSize: number;
  /** Sizes must be multiples of it. */
  readonly sizeFactor: number;
  readonly notes: readonly string[];
}

/** Where a worker can compute. */
export interface WorkerDevices {
  readonly devices: readonly Device[];
  /** WASM has threads: the page is cross-origin isolated. */
  readonly hasThreads: boolean;
}

/** A call to generate. */
export type GenerateInput = {
  [Task in keyof Tasks]: {
    readonly model: number;
    readonly task: Task;
    readonly request: Tasks[Task];
  };
}[keyof Tasks];

/** All calls: what each takes, tells on the way, and gives. */
export interface Calls {
  devices: Call<null, never, WorkerDevices>;
  load: Call<
    { readonly input: ModelInput; readonly options: WorkerPipelineOptions },
    never,
    { readonly model: number; readonly info: ModelInfo }
  >;
  generate: Call<GenerateInput, GenerationEvent, undefined>;
  close: Call<{ readonly model: number }, never, undefined>;
  room: Call<null, never, StorageRoom | undefined>;
  list: Call<null, never, readonly StoredModel[]>;
  save: Call<
    { readonly name: string; readonly files: readonly ModelFile[] },
    StoreProgress,
    StoredModel
  >;
  remove: Call<{ readonly name: string }, never, undefined>;
}

interface Call<Input, Event, Result> {
  readonly input: Input;
  readonly event: Event;
  readonly result: Result;
}

export type CallName = keyof Calls;

/** From the page. */
export type ToWorker =
  | {
      [Name in CallName]: {
        readonly id: number;
        readonly call: Name;
        readonly input: Calls[Name]["input"];
      };
    }[CallName]
  | { readonly id: number; readonly call: "cancel" };

/** From the worker. */
export type FromWorker =
  | { readonly id: number; readonly type: "event"; readonly event: unknown }
  | { readonly id: number; readonly type: "result"; readonly result: unknown }
  | {
      readonly id: number;
      readonly type: "error";
      readonly code: ErrorCode;
      readonly message: string;
    };

/** A worker, its global scope, or a port. */
export interface Port {
  postMessage(message: unknown): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  /** Ports wait until they are started; workers have no such method. */
  start?(): void;
}
