/** Pictures: PNG, and what pictures of every format say about how they were made. */
import { createImage, decodePng, encodePng, probeImage, readMetadata } from "nijimi/images";
import { crc32, deflateSync } from "node:zlib";
import { caseFiles, words, type Target } from "../target.ts";

/** Small pictures only: what a large one takes is not the file's fault. */
const LIMITS = { maxPixels: 2 ** 20 };

const PARAMETERS =
  'a cat <lora:x:1>\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, Lora hashes: "x: abc", Version: v1.9';
const COMFY = JSON.stringify({
  3: {
    class_type: "KSampler",
    inputs: {
      seed: 1,
      steps: 20,
      cfg: 7,
      sampler_name: "euler",
      positive: ["6", 0],
      model: ["4", 0],
    },
  },
  4: { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "x.safetensors" } },
  6: { class_type: "CLIPTextEncode", inputs: { text: "a cat", clip: ["4", 1] } },
});
const INVOKE = JSON.stringify({
  positive_prompt: "a cat",
  seed: 1,
  steps: 20,
  cfg_scale: 7,
  model: { name: "x" },
});
const DREAM = '"a cat" -s 20 -S 1 -W 64 -H 64 -C 7 -A k_euler';
const RECIPE = JSON.stringify({ schema: "nijimi/recipe@1", prompt: "a cat", seed: 1, steps: 20 });

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const text = (keyword: string, content: string) => ({
  type: "tEXt",
  data: bytesOf(`${keyword}\0${content}`),
});

/** A small picture with these chunks. */
function png(
  ...chunks: readonly { readonly type: string; readonly data: Uint8Array }[]
): Uint8Array {
  return encodePng(createImage(4, 3, 3, new Uint8Array(36)), { chunks });
}

/** The same chunks with checksums that are right again. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (let at = 8; at + 12 <= copy.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > copy.length) break;
    view.setUint32(end, crc32(copy.subarray(at + 4, end)));
    at = end + 4;
  }
  return copy;
}

const pngFiles: Target = {
  name: "png",
  share: 20,
  material: async () => ({
    seeds: [
      png(text("parameters", PARAMETERS), text("prompt", COMFY)),
      png({
        type: "zTXt",
        data: Buffer.concat([bytesOf("parameters\0\0"), deflateSync(PARAMETERS)]),
      }),
      png({
        type: "iTXt",
        data: Buffer.concat([bytesOf("nijimi\0\x01\0\0\0"), deflateSync(RECIPE)]),
      }),
      ...caseFiles(
        "badinput/img_ok_palette.png",
        "badinput/img_ok_1bit.png",
        "badinput/img_ok_all_filters.png",
        "badinput/img_ok_rgba.png",
      ),
    ],
    dictionary: words(
      "IHDR",
      "IDAT",
      "IEND",
      "PLTE",
      "tRNS",
      "tEXt",
      "zTXt",
      "iTXt",
      "eXIf",
      "parameters\0",
      "\0\0\0\x0d",
    ),
  }),
  repair: (bytes, random) => (random.oneIn(4) ? bytes : withChecksums(bytes)),
  run: async (bytes) => {
    readMetadata(bytes);
    decodePng(bytes, LIMITS);
  },
};

/** Keywords under which programs leave their records. */
const KEYWORDS = [
  "parameters",
  "prompt",
  "workflow",
  "invokeai_metadata",
  "sd-metadata",
  "Dream",
  "nijimi",
];

const recipes: Target = {
  name: "recipes",
  share: 15,
  material: async () => ({
    seeds: [PARAMETERS, COMFY, INVOKE, DREAM, RECIPE].map(bytesOf),
    dictionary: words(
      ", ",
      ": ",
      "\n",
      '"',
      "Steps: ",
      "Size: 1x1",
      "Negative prompt: ",
      "{",
      "}",
      "[",
      "]",
      '["3",0]',
      "-S ",
    ),
  }),
  repair: (bytes, random) =>
    png({ type: "tEXt", data: Buffer.concat([bytesOf(`${random.pick(KEYWORDS)}\0`), bytes]) }),
  run: async (bytes) => void readMetadata(bytes),
};

const otherPictures: Target = {
  name: "pictures",
  share: 10,
  material: async () => ({
    seeds: caseFiles(
      "badinput/img_ok_baseline.jpg",
      "badinput/img_ok_restart.jpg",
      "badinput_more/img_ok_lossy_alpha.webp",
      "badinput_more/img_ok_lossless.webp",
    ),
    dictionary: words(
      "\xff\xe1",
      "Exif\0\0",
      "II*\0",
      "MM\0*",
      "EXIF",
      "VP8X",
      "VP8L",
      "RIFF",
      "\xff\xda",
    ),
  }),
  run: async (bytes) => {
    probeImage(bytes, LIMITS);
    readMetadata(bytes);
  },
};

export const imageTargets: readonly Target[] = [pngFiles, recipes, otherPictures];
