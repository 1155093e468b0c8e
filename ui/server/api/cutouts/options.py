"""Options of a cut-out, as an address holds them."""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import Field, Json, TypeAdapter, ValidationError

from pipeline.compositing.edges import MAX_PIXELS, Despill
from ui.server.api import schemas

_PROMPTS = TypeAdapter(list[schemas.Prompt])


class CutoutOptions(schemas.PlainChoices):
    """Choices and marks of a cut-out, as an address holds them."""

    model_config = schemas.STRICT

    clean: bool = True
    """Remove the old background's colour from semi-transparent pixels."""
    grow: float = Field(default=0.0, ge=-MAX_PIXELS, le=MAX_PIXELS)
    """Distance that the matte grows, in pixels of a frame 720 high."""
    feather: float = Field(default=0.0, ge=0, le=MAX_PIXELS)
    """Distance over which the edge is softened, in pixels of a frame 720 high."""
    despill: Despill = "none"
    light: Json[schemas.Light] = schemas.Light()
    """As JSON: `Light`."""
    prompts: str = Field(default="[]", max_length=20_000)
    """Marks, as JSON: a list of `Prompt`."""

    def choices(self) -> dict[str, Any]:
        """Return the choices that were sent, as `ui.sessions.choices.Choices.change` takes them."""
        values = self.model_dump(exclude_unset=True, exclude={"prompts"})
        edges = {name: values.pop(name) for name in schemas.Edges.model_fields if name in values}
        return values | ({"edges": edges} if edges else {})

    def marks(self) -> list[dict[str, Any]]:
        """Return the marks, as `ui.sessions.choices.Choices.save_marks` takes them.

        Raises RequestValidationError for ones that cannot be read.
        """
        try:
            marks = _PROMPTS.validate_json(self.prompts)
        except ValidationError as error:
            places = [
                {**each, "type": "value_error", "loc": ("query", "prompts", *each["loc"])}
                for each in error.errors(include_url=False)
            ]
            raise RequestValidationError(places) from error
        return [mark.model_dump(exclude_unset=True) for mark in marks]
