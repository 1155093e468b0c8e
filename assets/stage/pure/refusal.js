// Answers by which the server refuses a request.

/** The server's refusal; its message is a sentence for the person. */
export class Refusal extends Error {}

/**
 * Read the answer to a request that failed: a `Refusal` where the server says why, else an error with its status.
 * @param {Response} response
 * @returns {Promise<Error>}
 */
export async function refusalOf(response) {
  try {
    const { error } = await response.json();
    if (typeof error === "string" && error) return new Refusal(error);
  } catch {
    // No JSON: there is no sentence to show.
  }
  return new Error(String(response.status));
}
