async def measure(**k): raise NotImplementedError
