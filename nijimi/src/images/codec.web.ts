/**
 * Pixels of JPEG, WebP and AVIF in the browser: its own decoders and encoders, with colour management switched off.
 *
 * A 2D canvas premultiplies alpha and rounds, so transparent pictures are read through a WebGL texture, which does not.
 */
import { NijimiError } from "../errors.ts";
import { createImage, toChannels, type Image } from "./image.ts";
import type { PixelDecoder, PixelEncoder, PlatformFormat, Zlib } from "./platform.ts";
import { readWebpHeader } from "./webp.ts";

export const decodePixels: PixelDecoder = async (bytes, { format, alpha }) => {
  const bitmap = await decodeBitmap(bytes, format);
  try {
    const image = (alpha && readTexture(bitmap)) || readCanvas(bitmap);
    return alpha ? image : toChannels(image, 3);
  } finally {
    bitmap.close();
  }
};

async function decodeBitmap(bytes: Uint8Array, format: PlatformFormat): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(new Blob([bytes as BlobPart], { type: `image/${format}` }), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch (cause) {
    throw new NijimiError(
      "format",
      `${format}: the picture does not decode, or this browser does not know ${format}.`,
      { cause },
    );
  }
}

/** RGBA of an opaque picture. */
function readCanvas(bitmap: ImageBitmap): Image {
  const context = context2d(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return fromImageData(
    context.getImageData(0, 0, bitmap.width, bitmap.height, { colorSpace: "srgb" }),
  );
}

/** RGBA with the colours under alpha as they are; undefined where there is no WebGL or the picture is too large for it. */
function readTexture(bitmap: ImageBitmap): Image | undefined {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl || Math.max(width, height) > (gl.getParameter(gl.MAX_TEXTURE_SIZE) as number))
    return undefined;
  try {
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(
      gl.FRAMEBUFFER,
      gl.COLOR_ATTACHMENT0,
      gl.TEXTURE_2D,
      gl.getParameter(gl.TEXTURE_BINDING_2D) as WebGLTexture,
      0,
    );
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) return undefined;
    const data = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
    return createImage(width, height, 4, data);
  } finally {
    gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

export const encodePixels: PixelEncoder = async (image, { format, quality, lossless }) => {
  const { width, height } = image;
  const context = context2d(width, height);
  context.putImageData(
    new ImageData(Uint8ClampedArray.from(toChannels(image, 4).data), width, height, {
      colorSpace: "srgb",
    }),
    0,
    0,
  );
  const type = `image/${format}`;
  const blob = await context.canvas.convertToBlob({ type, quality: lossless ? 1 : quality / 100 });
  if (blob.type !== type)
    throw new NijimiError(
      "unsupported",
      `${format}: this browser does not write it; take PNG or JPEG.`,
    );
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (lossless && !isLossless(bytes, format))
    throw new NijimiError(
      "unsupported",
      `${format}: this browser does not write it without loss; take PNG.`,
    );
  return bytes;
};

function isLossless(bytes: Uint8Array, format: PlatformFormat): boolean {
  return format === "webp" && readWebpHeader(bytes, { maxPixels: Infinity }).lossless;
}

function context2d(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", {
    colorSpace: "srgb",
    willReadFrequently: true,
  });
  if (!context)
    throw new NijimiError("device", `image: this browser gives no canvas of ${width}×${height}.`);
  return context;
}

function fromImageData({ width, height, data }: ImageData): Image {
  return createImage(width, height, 4, new Uint8Array(data.buffer, data.byteOffset, data.length));
}

/** Browsers have no synchronous zlib. */
export const zlib: Zlib | undefined = undefined;

/** @throws NijimiError `network` when the address does not answer with a file */
export async function readBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url).catch((cause: unknown) => {
    throw new NijimiError("network", `image: ${url} cannot be fetched.`, { cause });
  });
  if (!response.ok) throw new NijimiError("network", `image: ${url} answers ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @throws NijimiError `unsupported`: a page has no file system */
export async function writeBytes(path: string, _bytes: Uint8Array): Promise<void> {
  throw new NijimiError(
    "unsupported",
    `image: a page cannot write ${path}; encode the image and offer its bytes as a download.`,
  );
}
