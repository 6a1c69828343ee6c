/**
 * Whole pipelines against diffusers: the case's checkpoint, from the folder and from every single file that
 * `checkpoints.json` lists for it, must give the same embeddings, latents after every step, and pictures.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  allImages,
  encodePrompts,
  type GenerationEvent,
  type GenerationRequest,
  imageToImage,
  inpaint,
  loadPipeline,
  type Pipeline,
  type PipelineOptions,
  type StepEnd,
  textToImage,
} from "nijimi/pipelines";
import { writeSafetensors } from "nijimi/checkpoints";
import type { Device } from "nijimi/runtime";
import { float32, type Tensor, transpose } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

type F32 = Tensor<"float32">;
type Config = Readonly<Record<string, unknown>>;
type Generate = (pipeline: Pipeline, request: never) => AsyncGenerator<GenerationEvent, void>;

const TASKS: readonly (readonly [pattern: RegExp, run: Generate])[] = [
  [/Img2Img/, imageToImage as Generate],
  [/Inpaint/, inpaint as Generate],
];

/** Text to image unless the function says otherwise: some cases only say how their weights were merged. */
const taskOf = (name = ""): Generate =>
  TASKS.find(([pattern]) => pattern.test(name))?.[1] ?? (textToImage as Generate);

export const suite: Suite = {
  kind: "pipelines",
  accepts: ({ json }) =>
    json.section === "pipelines" &&
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
  const pipeline = await loadPipeline(join(c.root, checkpoint), {
    device,
    ...(await pipelineOptions(c, checkpoint)),
  });
  try {
    if (c.json.function === "transformers.CLIPTextModel") return await compareEncoder(c, pipeline);
    return [...(await compareEmbeddings(c, pipeline)), ...(await comparePicture(c, pipeline))];
  } finally {
    await pipeline.close();
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

/** Adapters, ControlNet, embedding and tokenizers that the case names or that lie beside the checkpoint. */
async function pipelineOptions(c: Case, checkpoint: string): Promise<PipelineOptions> {
  const family = join(c.root, dirname(checkpoint));
  const tokenizers = ["tokenizer", "tokenizer_2"].filter((name) =>
    existsSync(join(family, "diffusers", name)),
  );
  const isFile = /\.\w+$/.test(checkpoint);
  const lora = c.json["lora_file"];
  const token = c.json["token"];
  const embedding = c.tensors()["in.embedding"];
  return {
    ...(typeof lora === "string" && { loras: { lora: join(c.root, lora) } }),
    ...(typeof token === "string" &&
      embedding && { embeddings: { [token]: writeSafetensors({ emb_params: embedding }) } }),
    controlNets: { control: join(family, "controlnet") },
    ...(isFile && {
      tokenizers: Object.fromEntries(
        tokenizers.map((name) => [name, join(family, "diffusers", name)]),
      ),
    }),
  };
}

function requestOf(c: Case): GenerationRequest {
  const config = c.json.config ?? {};
  const tensors = c.tensors();
  const read = <T>(key: string): T | undefined => (config[key] ?? undefined) as T | undefined;
  const seed = read<number | number[]>("seed");
  const guess = read<boolean>("guess_mode");
  const isControl = c.json.function?.includes("ControlNet") === true;
  const clipSkip = read<number>("clip_skip");
  const negative = {
    originalSize: read<[number, number]>("negative_original_size"),
    cropTopLeft: read<[number, number]>("negative_crops_coords_top_left"),
    targetSize: read<[number, number]>("negative_target_size"),
  };
  const request = {
    prompt: read<string>("prompt") ?? "",
    negativePrompt: read<string>("negative_prompt"),
    prompt2: read<string>("prompt_2"),
    negativePrompt2: read<string>("negative_prompt_2"),
    grammar: "plain",
    steps: read<number>("num_inference_steps"),
    timesteps: read<number[]>("timesteps"),
    guidanceScale: read<number>("guidance_scale"),
    guidanceRescale: read<number>("guidance_rescale"),
    scheduler: read<Config>("scheduler"),
    eta: read<number>("eta"),
    clipSkip: clipSkip === undefined ? undefined : clipSkip + 1,
    count: read<number>("num_images_per_prompt"),
    width: read<number>("width"),
    height: read<number>("height"),
    strength: read<number>("strength"),
    seed,
    seedPer: Array.isArray(seed) ? "image" : "batch",
    draws: seed === undefined ? recorded(tensors) : undefined,
    latents: tensors["in.latents"],
    image: isControl ? undefined : tensors["in.image"],
    mask: tensors["in.mask_image"],
    tiles: false,
    microConditioning: {
      originalSize: read<[number, number]>("original_size"),
      cropTopLeft: read<[number, number]>("crops_coords_top_left"),
      targetSize: read<[number, number]>("target_size"),
      ...(negative.originalSize && negative.targetSize && { negative }),
    },
    ...(c.json["lora_file"] !== undefined && {
      loras: [
        {
          name: "lora",
          scale: Number(c.json["lora_scale"]),
          ...(/U-Net only/.test(c.json.function ?? "") && { textScale: 0 }),
        },
      ],
    }),
    ...(isControl && {
      control: [
        {
          name: "control",
          image: tensors["in.image"],
          scale: read<number>("controlnet_conditioning_scale"),
          start: read<number>("control_guidance_start"),
          end: read<number>("control_guidance_end"),
          guessMode: guess,
        },
      ],
    }),
  };
  return defined(request) as unknown as GenerationRequest;
}

/** Without the undefined, so that defaults apply. */
function defined(value: Config): Config {
  return Object.fromEntries(Object.entries(value).filter(([, own]) => own !== undefined));
}

/** The case's noise in order of use. */
function recorded(tensors: Readonly<Record<string, Tensor>>) {
  let next = 0;
  return {
    randn(shape: readonly number[]): F32 {
      const found = tensors[`noise.${next++}`] as F32 | undefined;
      if (!found || String(found.shape) !== String(shape))
        throw new Error(`noise.${next - 1} is [${found?.shape}]; [${shape}] was asked for`);
      return found;
    },
  };
}

async function compareEmbeddings(c: Case, pipeline: Pipeline): Promise<Comparison[]> {
  const tensors = c.tensors();
  const { prompt, negative } = await encodePrompts(pipeline, {
    ...requestOf(c),
    count: 1,
    seed: 0,
    latents: undefined,
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

async function comparePicture(c: Case, pipeline: Pipeline): Promise<Comparison[]> {
  const tensors = c.tensors();
  const ends: StepEnd[] = [];
  const run = taskOf(c.json.function);
  const images = await allImages(run(pipeline, requestOf(c) as never), (event) => {
    if (event.type === "step-end")
      ends.push({ ...event, latents: { ...event.latents, data: event.latents.data.slice() } });
  });
  const pixels = float32(
    [images.length, ...images[0].pixels.shape.slice(1)],
    images.flatMap((image) => [...image.pixels.data]),
  );
  const unit = pixels.data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
  const picture = transpose({ ...pixels, data: unit }, [0, 2, 3, 1]);
  return [
    ...compareLatents(c, tensors["out.latents"] as F32, ends),
    compareTensors("out.image", picture, tensors["out.image"], c.json.tolerance),
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
