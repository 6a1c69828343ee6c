/** Readers of checkpoints: every format is opened and its tensors are read. */
import { unzipSync, zipSync } from "fflate";
import { float32, tensor } from "nijimi/tensor";
import {
  bytesSource,
  openCheckpoint,
  parseNpy,
  writeSafetensors,
  type Checkpoint,
} from "nijimi/checkpoints";
import { caseFiles, words, type Target } from "../target.ts";

/** Opens, and reads tensors up to a sum: a small file may hold many views of the same bytes. */
async function readCheckpoint(bytes: Uint8Array, name: string, checksums: boolean): Promise<void> {
  let checkpoint: Checkpoint | undefined;
  try {
    checkpoint = await openCheckpoint(bytesSource(bytes, name), { checksums });
    let budget = 2 ** 25;
    for (const entry of Object.values(checkpoint.entries)) {
      budget -= (await entry.read()).data.byteLength + 1000;
      if (budget < 0) break;
    }
  } finally {
    await checkpoint?.close();
  }
}

const SAFETENSORS = writeSafetensors(
  {
    "a.weight": float32([2, 3], [1, 2, 3, 4, 5, 6]),
    step: tensor("int64", [], BigInt64Array.of(3n)),
  },
  { format: "pt" },
);

const safetensors: Target = {
  name: "safetensors",
  share: 40,
  material: async () => ({
    seeds: [
      SAFETENSORS,
      ...caseFiles(
        "badinput/st_ok_all_dtypes.safetensors",
        "badinput/st_ok_proto_name.safetensors",
        "badinput/st_ok_scalar_and_empty.safetensors",
        "badinput/st_overlap.safetensors",
      ),
    ],
    dictionary: words(
      '"dtype":"F32"',
      '"BF16"',
      '"shape":[',
      '"data_offsets":[',
      "__metadata__",
      "{",
      "}",
      "[",
      "]",
      ",",
      '"',
      "\\u",
    ),
  }),
  // The header's length is made to fit again in half of the cases, or little else would ever be reached.
  repair: (bytes, random) => {
    if (random.oneIn(2) || bytes.length < 9) return bytes;
    const end = bytes.lastIndexOf(0x7d);
    const copy = bytes.slice();
    new DataView(copy.buffer).setBigUint64(0, BigInt(Math.max(0, end - 7)), true);
    return copy;
  },
  run: (bytes) => readCheckpoint(bytes, "x.safetensors", true),
};

const ZIP_WORDS = words(
  "PK\x01\x02",
  "PK\x03\x04",
  "PK\x05\x06",
  "PK\x06\x06",
  "PK\x06\x07",
  "archive/data/0",
  "../",
  "\0",
  "\x01\x00\x1c\x00",
);

const TORCH_FILES = caseFiles(
  "badinput/ckpt_ok.ckpt",
  "badinput_more/ckpt_zip_slip_parent.ckpt",
  "badinput_more/ckpt_big_endian.ckpt",
  "badinput_more/ckpt_lightning_class_key.ckpt",
  "checkpoints/deflated.ckpt",
  "checkpoints/torchscript.pt",
  "checkpoints/types.pt",
  "pipelines/sd1/odd_tensors_zip.pt",
  "pipelines/sd1/embeddings/fx-style_ldm_parameterdict.pt",
);

/** Damage to the container. */
const torchZip: Target = {
  name: "torch-zip",
  share: 25,
  material: async () => ({ seeds: TORCH_FILES, dictionary: ZIP_WORDS }),
  run: (bytes, random) => readCheckpoint(bytes, "x.ckpt", random.oneIn(4)),
};

/** Damage to the pickle inside a container that is whole. */
const torchPickle: Target = {
  name: "torch-pickle",
  share: 40,
  material: async () => ({
    seeds: TORCH_FILES.map((file) => {
      const members = Object.entries(unzipSync(file));
      return members.find(([name]) => name.endsWith("/data.pkl"))![1];
    }),
    dictionary: PICKLE_WORDS,
  }),
  repair: (bytes, random) => {
    const storages = Array.from({ length: 12 }, (_, i) => [`a/data/${i}`, new Uint8Array(384)]);
    const extra = random.oneIn(2) ? [["a/constants.pkl", new Uint8Array(0)]] : [];
    return zipSync(
      { "a/data.pkl": bytes, ...Object.fromEntries([...storages, ...extra]) },
      { level: 0 },
    );
  },
  run: (bytes) => readCheckpoint(bytes, "x.pt", false),
};

const npz: Target = {
  name: "npz",
  share: 10,
  material: async () => {
    const [npy] = npySeeds();
    return {
      seeds: [
        zipSync({ "a.npy": npy, "b/c.npy": npy }, { level: 0 }),
        zipSync({ "a.npy": npy }, { level: 9 }),
      ],
      dictionary: [...ZIP_WORDS, ...NPY_WORDS],
    };
  },
  run: (bytes, random) => readCheckpoint(bytes, "x.npz", random.oneIn(4)),
};

const PICKLE_WORDS = words(
  "ctorch._utils\n_rebuild_tensor_v2\n",
  "ctorch\nFloatStorage\n",
  "ccollections\nOrderedDict\n",
  "cnumpy.core.multiarray\n_reconstruct\n",
  "cnumpy\ndtype\n",
  "c_codecs\nencode\n",
  "c__builtin__\nset\n",
  "ccopy_reg\n_reconstructor\n",
  "\x8c\x07storage",
  "\x85R",
  ")R",
  ")\x81",
  "}b",
  "Q",
  "(",
  "t",
  "l",
  "d",
  "e",
  "u",
  "2",
  "0",
  "h\x00",
  "q\x00",
  "\x94",
  "\x93",
  "]",
  "}",
  ")",
  "N",
  "K\x01",
  "M\xff\xff",
  "J\xff\xff\xff\x7f",
  "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
  "X\x01\x00\x00\x00a",
  ".",
);

/** Pickles without a container, and torch's legacy format, which is several in a row. */
const pickle: Target = {
  name: "pickle",
  share: 25,
  material: async () => ({
    seeds: [
      ...caseFiles(
        "badinput/pickle_os_system.pkl",
        "badinput/pickle_billion_laughs.pkl",
        "badinput/pickle_build_setstate.pkl",
        "badinput/pickle_newobj.pkl",
        "badinput/pickle_stack_global.pkl",
        "badinput_more/ckpt_legacy_ok.ckpt",
        "badinput_more/ckpt_legacy_truncated.ckpt",
        "pipelines/sd1/odd_tensors_legacy.pt",
      ),
      ...words(
        "\x80\x02}(X\x01\x00\x00\x00aK\x01u.",
        "\x80\x04]\x94(K\x01\x85\x94h\x00e.",
        "(lp0\nI1\naF1.5\naS'x'\na.",
      ),
    ],
    dictionary: PICKLE_WORDS,
  }),
  run: (bytes) => readCheckpoint(bytes, "x.pkl", true),
};

const gguf: Target = {
  name: "gguf",
  share: 25,
  material: async () => ({
    seeds: caseFiles("checkpoints/gguf_types.gguf"),
    dictionary: words(
      "general.alignment",
      "comfy.gguf.orig_shape.Q4_0",
      "GGUF",
      "\x09\x00\x00\x00",
      "\x08\x00\x00\x00",
    ),
  }),
  run: (bytes) => readCheckpoint(bytes, "x.gguf", true),
};

const NPY_WORDS = words(
  "'descr'",
  "'fortran_order'",
  "'shape'",
  "True",
  "(",
  ")",
  ",",
  "'<f4'",
  "'>i2'",
  "'|O'",
  "{",
  "}",
);

function npySeeds(): Uint8Array[] {
  const file = (text: string, bytes: number): Uint8Array => {
    const header = text.padEnd(117);
    return new Uint8Array([
      ...words("\x93NUMPY\x01\x00v\x00")[0],
      ...words(`${header}\n`)[0],
      ...new Uint8Array(bytes),
    ]);
  };
  return [
    file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24),
    file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3, 4), }", 48),
    file("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", 1),
  ];
}

const npy: Target = {
  name: "npy",
  share: 15,
  material: async () => ({ seeds: npySeeds(), dictionary: NPY_WORDS }),
  run: async (bytes) => void parseNpy(bytes),
};

export const checkpointTargets: readonly Target[] = [
  safetensors,
  torchZip,
  torchPickle,
  npz,
  pickle,
  gguf,
  npy,
];
