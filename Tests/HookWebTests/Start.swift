import HookWeb
