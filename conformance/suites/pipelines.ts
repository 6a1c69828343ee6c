/**
 * Whole pipelines against diffusers: the case's checkpoint, from the folder and from every single file that
 * `checkpoints.json` lists for it, must give the same embeddings, latents after every step, and pictures.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  allImages,
  encodePrompts,
  loadPipeline,
  type Pipeline,
  type StepEnd,
} from "nijimi/pipelines";
import type { Device } from "nijimi/runtime";
import { float32, type Tensor } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { pipelineOptions } from "./pipeline-options.ts";
import { pictureOf, requestOf, taskOf } from "./pipeline-request.ts";

type F32 = Tensor<"float32">;

export const suite: Suite = {
  kind: "pipelines",
  accepts: ({ json }) =>
    (json.section === "pipelines" || json.section === "tasks") &&
    typeof json.config?.["checkpoint"] === "string" &&
    (json.config["prompt"] !== undefined || json.function === "transformers.CLIPTextModel"),
  async run(c, { device }) {
    const checkpoint = String(c.json.config?.["checkpoint"]);
    const results = await compareWith(c, checkpoint, device as Device);
    for (const file of otherFiles(c, checkpoint)) {
      const more = await compareWith(c, file, device as Device);
      results.push(
        ...more.map((result) => ({ ...result, name: `${basename(file)}: ${result.name}` })),
      );
    }
    return results;
  },
};

async function compareWith(c: Case, checkpoint: string, device: Device): Promise<Comparison[]> {
  const load = (path: string): Promise<Pipeline> =>
    loadPipeline(join(c.root, path), { device, ...pipelineOptions(c, path) });
  const pipeline = await load(checkpoint);
  const refiner = c.json.config?.["refiner"];
  const second = typeof refiner === "string" ? await load(refiner) : undefined;
  try {
    if (c.json.function === "transformers.CLIPTextModel") return await compareEncoder(c, pipeline);
    const embeddings = await compareEmbeddings(c, pipeline);
    return [...embeddings, ...(await comparePicture(c, pipeline, second))];
  } finally {
    await pipeline.close();
    await second?.close();
  }
}

/** Files that hold the same model and must reproduce this case. */
function otherFiles(c: Case, checkpoint: string): string[] {
  const list = join(c.root, "pipelines", "checkpoints.json");
  if (!existsSync(list)) return [];
  const { files } = JSON.parse(readFileSync(list, "utf8")) as {
    files: { file: string; cases?: string[] }[];
  };
  const name = c.json.name ?? "";
  const matches = (pattern: string) =>
    new RegExp(`^${basename(pattern).replaceAll("*", ".*")}$`).test(name);
  return files.flatMap(({ file, cases = [] }) =>
    /\.(safetensors|ckpt)$/.test(file) &&
    !/lora|controlnet|embeddings/.test(file) &&
    file !== checkpoint &&
    cases.some(matches)
      ? [file]
      : [],
  );
}

async function compareEmbeddings(c: Case, pipeline: Pipeline): Promise<Comparison[]> {
  const tensors = c.tensors();
  if (!Object.keys(tensors).some((name) => name.endsWith("prompt_embeds"))) return [];
  const { prompt, negative } = await encodePrompts(pipeline, {
    ...requestOf(c),
    count: 1,
    seed: 0,
    latents: undefined,
    denoisingStart: undefined,
    denoisingEnd: undefined,
  });
  const got: Readonly<Record<string, F32>> = {
    prompt_embeds: prompt.context,
    negative_prompt_embeds: negative.context,
    pooled_prompt_embeds: prompt.pooled,
    negative_pooled_prompt_embeds: negative.pooled,
  };
  return Object.entries(got).flatMap(([name, value]) => {
    const expected = tensors[`out.${name}`];
    return expected ? [compareTensors(`out.${name}`, value, expected, c.json.tolerance)] : [];
  });
}

async function comparePicture(
  c: Case,
  pipeline: Pipeline,
  second?: Pipeline,
): Promise<Comparison[]> {
  const tensors = c.tensors();
  const ends: StepEnd[] = [];
  const run = taskOf(c.json.function);
  const images = await allImages(run(pipeline, requestOf(c) as never, second), (event) => {
    if (event.type === "step-end")
      ends.push({ ...event, latents: { ...event.latents, data: event.latents.data.slice() } });
  });
  return [
    ...compareLatents(c, tensors["out.latents"] as F32, ends),
    // Where a pipeline stops at its latents there is none.
    ...(tensors["out.image"]
      ? [compareTensors("out.image", pictureOf(images), tensors["out.image"], c.json.tolerance)]
      : []),
  ];
}

/** The states after the evaluations that end a step of ours (PNDM's first step has two evaluations). */
function compareLatents(c: Case, expected: F32, ends: readonly StepEnd[]): Comparison[] {
  const [rows, ...shape] = expected.shape;
  const size = expected.data.length / rows;
  return ends.map(({ latents, evaluations }, i) => {
    const row = ends.length === rows ? i : evaluations - 1;
    const reference = float32(shape, expected.data.subarray(row * size, (row + 1) * size));
    return compareTensors("out.latents", latents, reference, c.json.tolerance);
  });
}

/** The text encoder alone. */
async function compareEncoder(
  c: Case,
  { promptEncoders: [{ encoder }] }: Pipeline,
): Promise<Comparison[]> {
  const tensors = c.tensors();
  const { shape, data } = tensors["in.ids"];
  const rows = Array.from({ length: shape[0] }, (_, i) =>
    Array.from((data as BigInt64Array).subarray(i * shape[1], (i + 1) * shape[1]), Number),
  );
  const batch = { ids: rows, replacements: [] };
  const last = await encoder.encode(batch, 0, []);
  const before = await encoder.encode(batch, 1, []);
  const got: Readonly<Record<string, F32>> = {
    last_hidden_state: last.normed,
    hidden_state_before_last_layer: before.hidden,
    clip_skip_2: before.normed,
    pooled: last.pooled,
  };
  return Object.entries(got).map(([name, value]) =>
    compareTensors(`out.${name}`, value, tensors[`out.${name}`], c.json.tolerance),
  );
}
