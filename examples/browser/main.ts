/** Pictures from text in a browser tab: a worker does the work, the page shows it. */
import {
  connectPipelines,
  type ModelInput,
  type Precision,
  type WorkerPipeline,
} from "nijimi/pipelines";
import { startGenerating } from "./generate.ts";
import { startModels } from "./models.ts";
import { element, report } from "./page.ts";

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const pipelines = connectPipelines(worker);

/**
 * WASM has 4 GB for weights and all that is computed: larger models than this get weights of 8 bits, and their networks
 * take turns.
 */
const LARGEST_FLOAT = 1e9;

let chosen: { readonly input: ModelInput; readonly bytes: number } | undefined;
let current: { readonly key: string; readonly model: WorkerPipeline } | undefined;
let choices = 0;

/** Loads what is chosen as it is chosen now; what is loaded already stays. */
async function loaded(): Promise<WorkerPipeline> {
  if (chosen === undefined) throw new Error("Choose a model first.");
  const device = element("select", "device").value as "wasm" | "webgpu";
  const precision = precisionFor(chosen.bytes, device);
  const key = `${choices} ${device} ${precision}`;
  if (current?.key === key) return current.model;
  await current?.model.close();
  current = undefined;
  const model = await pipelines.load(chosen.input, {
    device,
    precision,
    lowMemory: chosen.bytes > LARGEST_FLOAT,
  });
  current = { key, model };
  for (const side of ["width", "height"])
    element("input", side).placeholder = String(model.defaultSize);
  return model;
}

/** On the processor products of bytes are three times as fast as those of floats; GPUs have none. */
function precisionFor(bytes: number, device: "wasm" | "webgpu"): Precision {
  const asked = element("select", "precision").value as Precision | "auto";
  if (asked !== "auto") return asked;
  if (bytes <= LARGEST_FLOAT) return "float32";
  return device === "wasm" ? "int8" : "int8-weights";
}

/** @param bytes of the model; Infinity where nobody knows */
async function choose(name: string, input: ModelInput, bytes: number): Promise<void> {
  chosen = { input, bytes };
  choices++;
  element("p", "chosen").textContent = `In use: ${name}`;
  element("button", "generate").disabled = false;
}

async function showDevices(): Promise<void> {
  const { devices, hasThreads } = await pipelines.devices();
  for (const option of element("select", "device").options)
    option.disabled = !devices.includes(option.value as never);
  element("p", "threads").hidden = hasThreads;
}

startGenerating(loaded);
startModels(pipelines, choose).catch(report);
showDevices().catch(report);
