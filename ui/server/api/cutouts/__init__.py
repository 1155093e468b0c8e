"""Cut-outs at the API in one request: of a form's file or an upload, or of a picture in JSON by steps."""
