/** Pictures from text in a browser tab: a worker does the work, the page shows it. */
import { connectPipelines, type ModelInput, type WorkerPipeline } from "nijimi/pipelines";
import { startGenerating } from "./generate.ts";
import { startModels } from "./models.ts";
import { element, report } from "./page.ts";

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const pipelines = connectPipelines(worker);

let chosen: ModelInput | undefined;
let current: { readonly key: string; readonly model: WorkerPipeline } | undefined;
let choices = 0;

/** Loads what is chosen as it is chosen now; what is loaded already stays. */
async function loaded(): Promise<WorkerPipeline> {
  if (chosen === undefined) throw new Error("Choose a model first.");
  const device = element("select", "device").value as "wasm" | "webgpu";
  const precision = element("select", "precision").value as "float32" | "int8-weights";
  const key = `${choices} ${device} ${precision}`;
  if (current?.key === key) return current.model;
  await current?.model.close();
  current = undefined;
  const model = await pipelines.load(chosen, { device, precision });
  current = { key, model };
  for (const side of ["width", "height"])
    element("input", side).placeholder = String(model.defaultSize);
  return model;
}

async function choose(name: string, input: ModelInput): Promise<void> {
  chosen = input;
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
