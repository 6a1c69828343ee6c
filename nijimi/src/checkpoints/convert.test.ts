/** Round trips between a folder and a single file, on a pipeline small enough to be made here. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { toFloat32 } from "../tensor/convert.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { readAll } from "./checkpoint.ts";
import { convertCheckpoint } from "./convert.ts";
import type { JsonObject } from "./json.ts";
import { describeCheckpoint, loadCheckpoint } from "./layouts/load.ts";
import { parameterTable } from "./layouts/parameters/by-class.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { inspectCheckpoint } from "./report/inspect.ts";
import { saveComponent, saveDiffusersFolder } from "./save-folder.ts";

const home = mkdtempSync(path.join(tmpdir(), "convert-"));
afterAll(() => rmSync(home, { recursive: true }));
const at = (name: string) => path.join(home, name);

const UNET: JsonObject = {
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [8, 16],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  attention_head_dim: 2,
  cross_attention_dim: 12,
  norm_num_groups: 4,
};
const VAE: JsonObject = {
  block_out_channels: [8, 16],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  layers_per_block: 1,
  latent_channels: 4,
  norm_num_groups: 4,
  scaling_factor: 0.18215,
};
const TEXT: JsonObject = {
  model_type: "clip_text_model",
  hidden_size: 12,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  vocab_size: 20,
  max_position_embeddings: 9,
  hidden_act: "quick_gelu",
};

/** Parameters of a class, each with numbers of its own. */
function filled(className: string, config: JsonObject): Record<string, Tensor> {
  const table = parameterTable(className, config) ?? new Map<string, readonly number[]>();
  let next = 0;
  const pairs = [...table].map(([name, shape]) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return [
      name,
      float32(
        shape,
        Array.from({ length: size }, () => Math.fround(Math.sin(next++))),
      ),
    ] as const;
  });
  return Object.fromEntries(pairs);
}

const network = (library: string, className: string, config: JsonObject) => ({
  library,
  className,
  config,
  tensors: filled(className, config),
});

async function writePipeline(name: string): Promise<string> {
  await saveDiffusersFolder(at(name), {
    className: "StableDiffusionPipeline",
    components: {
      unet: network("diffusers", "UNet2DConditionModel", UNET),
      vae: network("diffusers", "AutoencoderKL", VAE),
      text_encoder: network("transformers", "CLIPTextModel", TEXT),
      tokenizer: {
        library: "transformers",
        className: "CLIPTokenizer",
        files: { "vocab.json": "{}" },
      },
      scheduler: {
        library: "diffusers",
        className: "DDIMScheduler",
        config: { prediction_type: "v_prediction", lambda_min_clipped: -Infinity },
      },
      safety_checker: null,
    },
    options: { requires_safety_checker: false },
  });
  return at(name);
}

/** All tensors of all networks. */
async function tensorsOf(file: string): Promise<Record<string, Record<string, Tensor>>> {
  const checkpoint = await loadCheckpoint(file);
  const all: Record<string, Record<string, Tensor>> = {};
  for (const [name, { entries }] of Object.entries(checkpoint.components))
    all[name] = { ...(await readAll(entries)) };
  await checkpoint.close();
  return all;
}

test("a folder becomes a single file and a folder again, tensor by tensor and value by value", async () => {
  const folder = await writePipeline("original");
  const { notes } = await convertCheckpoint(folder, at("single.safetensors"));
  expect(notes.join("\n")).toMatch(/single\.architecture\.json/);
  expect(await tensorsOf(at("single.safetensors"))).toEqual(await tensorsOf(folder));
  await convertCheckpoint(at("single.safetensors"), at("again"));
  expect(await tensorsOf(at("again"))).toEqual(await tensorsOf(folder));
  const [original, again] = [await loadCheckpoint(folder), await loadCheckpoint(at("again"))];
  for (const name of ["unet", "vae", "text_encoder"])
    expect(again.components[name].config).toMatchObject(original.components[name].config);
  expect(again.schedulers.scheduler).toMatchObject(original.schedulers.scheduler);
  await Promise.all([original.close(), again.close()]);
});

test("a folder is copied with its tokenizer in another element type", async () => {
  const folder = await writePipeline("full");
  await convertCheckpoint(folder, at("half"), { dtype: "float16" });
  expect(readFileSync(path.join(at("half"), "tokenizer/vocab.json"), "utf8")).toBe("{}");
  const { unet } = await tensorsOf(at("half"));
  const { unet: full } = await tensorsOf(folder);
  for (const [name, tensor] of Object.entries(unet)) {
    expect(tensor.dtype).toBe("float16");
    const difference = toFloat32(tensor).map((value, i) =>
      Math.abs(value - Number(full[name].data[i])),
    );
    expect(Math.max(...difference)).toBeLessThan(1e-3);
  }
});

test("large networks are cut into shards that are read as one", async () => {
  const folder = await writePipeline("whole");
  await convertCheckpoint(folder, at("shards"), { maxShardBytes: 20_000 });
  expect(readdirSync(path.join(at("shards"), "unet")).length).toBeGreaterThan(3);
  expect(await tensorsOf(at("shards"))).toEqual(await tensorsOf(folder));
});

test("one network becomes a folder of its own", async () => {
  await saveComponent(at("vae"), network("diffusers", "AutoencoderKL", VAE));
  await convertCheckpoint(at("vae"), at("vae.safetensors"));
  const { entries, close } = await openCheckpoint(at("vae.safetensors"));
  expect(Object.keys(entries)).toContain("encoder.down.0.block.0.norm1.weight");
  await close();
  await convertCheckpoint(at("vae.safetensors"), at("vae-again"));
  expect(await tensorsOf(at("vae-again"))).toEqual(await tensorsOf(at("vae")));
});

test("an output that is there is not replaced unless asked for", async () => {
  const folder = await writePipeline("kept");
  await convertCheckpoint(folder, at("kept.safetensors"));
  await expect(convertCheckpoint(folder, at("kept.safetensors"))).rejects.toThrow(
    /is there already/,
  );
  await convertCheckpoint(folder, at("kept.safetensors"), { overwrite: true });
});

test("a form and a name that do not go together are refused", async () => {
  const folder = await writePipeline("forms");
  await expect(convertCheckpoint(folder, at("folder"), { to: "single" })).rejects.toThrow(
    /ends in "\.safetensors"/,
  );
  await expect(convertCheckpoint(folder, at("x.safetensors"), { to: "diffusers" })).rejects.toThrow(
    /name a folder/,
  );
});

test("a report has every network, and every tensor where asked for", async () => {
  const folder = await writePipeline("report");
  const report = await inspectCheckpoint(folder, { tensors: true, values: true });
  expect(report).toMatchObject({
    kind: "model",
    family: "stable-diffusion-1",
    missing: [],
    unexpected: [],
    nonFinite: [],
  });
  expect(report.components.map(({ name }) => name).sort()).toEqual(["text_encoder", "unet", "vae"]);
  expect(report.tensorList).toHaveLength(report.tensors);
  expect(report.parameters).toBe(
    report.components.reduce((sum, { parameters }) => sum + parameters, 0),
  );
  expect(() => JSON.stringify(report)).not.toThrow();
});

test("what weights do not tell is undetermined, and loading asks for it, network by network", async () => {
  const folder = await writePipeline("alone");
  await convertCheckpoint(folder, at("alone.safetensors"));
  rmSync(at("alone.architecture.json"));
  const described = await describeCheckpoint(at("alone.safetensors"));
  const undetermined = {
    unet: ["attention_head_dim", "norm_num_groups"],
    vae: ["norm_num_groups"],
    text_encoder: ["num_attention_heads"],
  };
  for (const [name, keys] of Object.entries(undetermined))
    expect(described.components[name].undetermined).toEqual(keys);
  await described.close();
  const configs: Record<string, JsonObject> = { unet: UNET, vae: VAE, text_encoder: TEXT };
  const known: Record<string, JsonObject> = {};
  for (const [name, keys] of Object.entries(undetermined)) {
    const loading = loadCheckpoint(at("alone.safetensors"), { architecture: known });
    await expect(loading).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringMatching(
        new RegExp(`${name}: ${keys.join(" and ")} of .*architecture\\.json.*{"${name}": `),
      ),
    });
    known[name] = configs[name];
  }
  await (await loadCheckpoint(at("alone.safetensors"), { architecture: known })).close();
});
