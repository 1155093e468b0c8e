// One file on its way to the server, by the tus protocol 1.0: what has arrived stays there when the connection breaks.

const UPLOADS = "/api/v1/uploads";
const VERSION = { "Tus-Resumable": "1.0.0" };
const PART_TYPE = "application/offset+octet-stream";

/** @param {string} text */
const toBase64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/**
 * Return a refusal with nothing but its sentence, as Gradio's own address has it.
 * @param {{status: number, text: string}} answer problem details
 */
function refusal({ status, text }) {
  let problem = { detail: text, code: "" };
  try {
    problem = JSON.parse(text);
  } catch {
    // of a proxy
  }
  // That a user's own room is full is final, unlike a full disk.
  const final = status === 507 && problem.code ? 413 : status;
  return new Response(problem.detail, { status: final, headers: { "content-type": "text/plain" } });
}

/** Upload of one file, which can be gone on with after a failure. */
export class Upload {
  /** @param {File} file */
  constructor(file) {
    this.file = file;
    /** Address of what has arrived; empty before anything is sent. */
    this.address = "";
  }

  /**
   * Send what has not arrived yet, and go on by itself after a break as long as more arrives; resolves to a refusal,
   * to null if the connection is broken or `signal` has ended it, and to the upload's id once all is there.
   * @param {(bytes: number) => void} onProgress
   * @param {AbortSignal} signal
   * @returns {Promise<Response | string | null>}
   */
  async send(onProgress, signal) {
    try {
      let offset = this.address ? await this.#read(signal) : -1;
      if (offset < 0) {
        const created = await this.#create(signal);
        if (created) return created;
        offset = 0;
      }
      while (offset < this.file.size) {
        const answer = await this.#sendPart(offset, onProgress, signal);
        if (signal.aborted) return null;
        if (answer && answer.status >= 400 && answer.status !== 409) return refusal(answer);
        const arrived = await this.#read(signal);
        if (arrived <= offset) return null;
        offset = arrived;
      }
      return this.address.slice(this.address.lastIndexOf("/") + 1);
    } catch (error) {
      if (error instanceof TypeError || signal.aborted) return null; // no connection
      throw error;
    }
  }

  /** Delete what has arrived. */
  async remove() {
    if (this.address) await fetch(this.address, { method: "DELETE", headers: VERSION }).catch(() => null);
  }

  /**
   * Create the upload; resolves to null, or to a refusal.
   * @param {AbortSignal} signal
   */
  async #create(signal) {
    const headers = {
      ...VERSION,
      "Upload-Length": String(this.file.size),
      "Upload-Metadata": `filename ${toBase64(this.file.name)}`,
    };
    const answer = await fetch(UPLOADS, { method: "POST", headers, signal });
    if (!answer.ok) return refusal({ status: answer.status, text: await answer.text() });
    this.address = answer.headers.get("location") || "";
    return null;
  }

  /**
   * Return how many bytes have arrived; -1 if the server does not know the upload any more.
   * @param {AbortSignal} signal
   */
  async #read(signal) {
    const answer = await fetch(this.address, { method: "HEAD", headers: VERSION, signal });
    return answer.ok ? Number(answer.headers.get("upload-offset")) : -1;
  }

  /**
   * Send all from an offset on; resolves to the answer, or to null if the connection broke. Unlike fetch,
   * XMLHttpRequest reports progress.
   * @param {number} offset
   * @param {(bytes: number) => void} onProgress
   * @param {AbortSignal} signal
   * @returns {Promise<{status: number, text: string} | null>}
   */
  #sendPart(offset, onProgress, signal) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const abort = () => request.abort();
      request.open("PATCH", this.address);
      request.setRequestHeader("Tus-Resumable", VERSION["Tus-Resumable"]);
      request.setRequestHeader("Upload-Offset", String(offset));
      request.setRequestHeader("Content-Type", PART_TYPE);
      request.upload.onprogress = ({ loaded }) => onProgress(offset + loaded);
      request.onloadend = () => {
        signal.removeEventListener("abort", abort);
        resolve(request.status ? { status: request.status, text: request.responseText } : null);
      };
      signal.addEventListener("abort", abort);
      request.send(this.file.slice(offset));
    });
  }
}
