// PNG with a palette of 256 colours out of one with all (W3C PNG, third edition): pictures of pages, a third of the size.
const zlib = require("zlib");

/** The pixels of a picture of 8 bits a sample, RGB or RGBA, that is not interlaced. */
function decode(png) {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const size = { 2: 3, 6: 4 }[png[25]];
  const parts = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const raw = zlib.inflateSync(Buffer.concat(parts));
  const stride = width * size;
  const rows = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x += 1) {
      const at = y * stride + x;
      const left = x >= size ? rows[at - size] : 0;
      const up = y ? rows[at - stride] : 0;
      const corner = x >= size && y ? rows[at - stride - size] : 0;
      const paeth = () => {
        const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
        return a <= b && a <= c ? left : b <= c ? up : corner;
      };
      const guess = [() => 0, () => left, () => up, () => (left + up) >> 1, paeth][filter]();
      rows[at] = raw[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return { width, height, pixel: (number) => (rows[number * size] << 16) | (rows[number * size + 1] << 8) | rows[number * size + 2] };
}

const distance = (a, b) => ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2;

/** Colours that stand for all: the most frequent, none of them close to one that is more frequent. */
function choose(counts) {
  const palette = [];
  for (const near of [64, 0]) {
    for (const [colour] of counts) {
      if (palette.length === 256) return palette;
      if (!palette.includes(colour) && palette.every((known) => distance(known, colour) >= near)) palette.push(colour);
    }
  }
  return palette;
}

const TABLE = Array.from({ length: 256 }, (_, number) => {
  let sum = number;
  for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
  return sum;
});

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  let sum = 0xffffffff;
  for (const byte of body) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE((sum ^ 0xffffffff) >>> 0);
  return Buffer.concat([length, body, check]);
}

function withPalette(png) {
  const { width, height, pixel } = decode(png);
  const found = new Map();
  for (let at = 0; at < width * height; at += 1) found.set(pixel(at), (found.get(pixel(at)) || 0) + 1);
  const palette = choose([...found].sort((a, b) => b[1] - a[1]));
  const number = new Map([...found.keys()].map((colour) => {
    const best = palette.reduce((best, known, index) => (distance(known, colour) < distance(palette[best], colour) ? index : best), 0);
    return [colour, best];
  }));
  const rows = Buffer.alloc((width + 1) * height);
  for (let at = 0; at < width * height; at += 1) rows[Math.floor(at / width) * (width + 1) + 1 + (at % width)] = number.get(pixel(at));
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0]);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const data = zlib.deflateSync(rows, { level: 9, memLevel: 9 });
  return Buffer.concat([png.subarray(0, 8), chunk("IHDR", head), chunk("PLTE", colours), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

module.exports = { withPalette };
