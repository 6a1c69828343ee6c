/**
 * Published weights that metrics stand on: where they are and what they must hash to. Nothing here is fetched
 * without being asked for; `nijimi models fetch NAME` does it.
 */
export interface KnownWeights {
  /** What they are for. */
  readonly description: string;
  readonly url: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly bytes?: number;
  /** Name of the file on disk. */
  readonly file: string;
  readonly license: string;
}

/** By the name that the command line knows them by. */
export const KNOWN_WEIGHTS = {
  "fid-inception": {
    description:
      "FID Inception-v3 (2015-12-05) for FID, KID, sFID, Inception Score, precision and recall",
    url: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    bytes: 95_628_359,
    file: "pt_inception-2015-12-05-6726825d.pth",
    license: "Apache-2.0",
  },
  "clip-vit-b-32": {
    description: "CLIP ViT-B/32 for CLIP score, R-precision and CLIP-FID",
    url: "https://openaipublic.azureedge.net/clip/models/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    sha256: "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    file: "ViT-B-32.pt",
    license: "MIT",
  },
  "clip-vit-l-14": {
    description: "CLIP ViT-L/14 for CLIP score and the aesthetic heads",
    url: "https://openaipublic.azureedge.net/clip/models/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    sha256: "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
    file: "ViT-L-14.pt",
    license: "MIT",
  },
  "aesthetic-v1-vit-b-32": {
    description: "LAION-Aesthetics v1: linear head on CLIP ViT-B/32",
    url: "https://github.com/LAION-AI/aesthetic-predictor/raw/main/sa_0_4_vit_b_32_linear.pth",
    sha256: "c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f",
    file: "sa_0_4_vit_b_32_linear.pth",
    license: "MIT",
  },
  "aesthetic-v1-vit-l-14": {
    description: "LAION-Aesthetics v1: linear head on CLIP ViT-L/14",
    url: "https://github.com/LAION-AI/aesthetic-predictor/raw/main/sa_0_4_vit_l_14_linear.pth",
    sha256: "2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba",
    file: "sa_0_4_vit_l_14_linear.pth",
    license: "MIT",
  },
  "aesthetic-v2": {
    description: "LAION-Aesthetics v2: MLP on CLIP ViT-L/14",
    url: "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/sac%2Blogos%2Bava1-l14-linearMSE.pth",
    sha256: "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
    file: "sac+logos+ava1-l14-linearMSE.pth",
    license: "Apache-2.0",
  },
  "lpips-alex": {
    description: "LPIPS v0.1: weights of AlexNet's layers; needs alexnet",
    url: "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/alex.pth",
    sha256: "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    bytes: 6_009,
    file: "lpips-alex.pth",
    license: "BSD-2-Clause",
  },
  "lpips-vgg": {
    description: "LPIPS v0.1: weights of VGG-16's layers; needs vgg16",
    url: "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
    sha256: "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    bytes: 7_289,
    file: "lpips-vgg.pth",
    license: "BSD-2-Clause",
  },
  "lpips-squeeze": {
    description: "LPIPS v0.1: weights of SqueezeNet's layers; needs squeezenet1_1",
    url: "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/squeeze.pth",
    sha256: "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
    bytes: 10_811,
    file: "lpips-squeeze.pth",
    license: "BSD-2-Clause",
  },
  alexnet: {
    description: "AlexNet of torchvision, the trunk of LPIPS alex",
    url: "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256: "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    bytes: 244_408_911,
    file: "alexnet-owt-7be5be79.pth",
    license: "BSD-3-Clause",
  },
  vgg16: {
    description: "VGG-16 of torchvision, the trunk of LPIPS vgg",
    url: "https://download.pytorch.org/models/vgg16-397923af.pth",
    sha256: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    bytes: 553_433_881,
    file: "vgg16-397923af.pth",
    license: "BSD-3-Clause",
  },
  squeezenet1_1: {
    description: "SqueezeNet 1.1 of torchvision, the trunk of LPIPS squeeze",
    url: "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
    sha256: "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    bytes: 4_958_839,
    file: "squeezenet1_1-b8a52dc0.pth",
    license: "BSD-3-Clause",
  },
} as const satisfies Record<string, KnownWeights>;
